//! Random clusters, as `karpsim fuzz` makes them.

use karpsim::experiment::fuzz::{Trials, run_trials};
use karpsim::units::SimDuration;

#[test]
fn random_clusters_keep_all_invariants_with_and_without_memos() {
    let (mut failures, mut facts) = (Vec::new(), 0);
    let trials = Trials { seeds: 1..21, plain: true, until: Some(SimDuration::from_minutes(25)) };
    let ran = run_trials(&trials, 0, |trial| {
        facts += trial.facts;
        failures.extend(trial.failure.map(|failure| format!("seed {}: {failure}", trial.seed)));
    });
    ran.expect("a pool of threads");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(facts > 20 * 50, "only {facts} facts");
}
