//! What is kept from one decision to the next, and what is skipped, changes no decision: whole runs with and without.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use karpsim::conformance;
use karpsim::experiment::run::{Checks, Observer, run};
use karpsim::simulation::Simulation;
use karpsim::units::SimTime;
use karpsim::world::Witness;
use karpsim::world::journal::Record;

use crate::shipped;

/// All that happened, one line a fact.
#[derive(Default)]
struct Journal(Vec<String>);

impl Observer for Journal {
    fn observe(&mut self, record: &Record) {
        self.0.push(format!("{} {:?}", record.at, record.fact));
    }

    fn go_on(&mut self, _: SimTime, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn journal(name: &str, minutes: i64, settings: &[(&str, &str)], plain: bool) -> Vec<String> {
    let mut config = shipped::config(name, minutes, settings);
    Arc::make_mut(&mut config.settings).plain = plain;
    let mut journal = Journal::default();
    run(Arc::new(config), Default::default(), Checks::Off, &mut journal).expect("a sound run");
    journal.0
}

/// Recordings of Karpenter's own controllers, with whatever they hold: PodDisruptionBudgets, spread, spot, drift.
#[test]
fn recordings_with_and_without_memos_are_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timelines");
    let entries = std::fs::read_dir(&folder).expect("the folder is in the repository");
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    assert!(paths.len() > 50, "{}", paths.len());
    for path in paths {
        let file = std::fs::File::open(&path).expect("the recording is there");
        let mut text = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("valid gzip");
        let simulation = || conformance::timeline::simulation(&text).expect("comparable");
        let (mut quick, mut plain) = (simulation(), simulation().without_memos());
        // Who is told why changes nothing either.
        let mut witnessed = simulation().witnessed(Some(Witness::always()));
        while let Some(step) = quick.step() {
            assert_eq!(Some(step), plain.step(), "{}", path.display());
            assert_eq!(Some(step), witnessed.step(), "{}", path.display());
            witnessed.drain_accounts();
            let facts = |simulation: &mut Simulation| -> Vec<String> {
                let journal = simulation.drain_journal();
                journal.map(|record| format!("{} {:?}", record.at, record.fact)).collect()
            };
            let expected = facts(&mut quick);
            assert_eq!(expected, facts(&mut plain), "{}", path.display());
            assert_eq!(expected, facts(&mut witnessed), "{}", path.display());
        }
    }
}

#[test]
fn runs_with_and_without_memos_are_the_same() {
    let after = "NodePool/default:spec.disruption.consolidateAfter";
    let policy = "NodePool/default:spec.disruption.consolidationPolicy";
    for (name, minutes, settings) in [
        ("eks-workshop.ron", 2 * 60, vec![]),
        ("eks-workshop-hold.ron", 2 * 60, vec![]),
        ("ci-burst.ron", 9 * 60, vec![]),
        ("expiry-wave.ron", 60, vec![]),
        ("web-diurnal.ron", 60, vec![(after, "0s")]),
        ("web-diurnal.ron", 60, vec![(after, "5m"), (policy, "Balanced")]),
        ("month.ron", 6, vec![(after, "30s")]),
    ] {
        let (quick, plain) =
            (journal(name, minutes, &settings, false), journal(name, minutes, &settings, true));
        assert!(quick.len() > 20, "{name}: {} facts", quick.len());
        let differs = quick.iter().zip(&plain).find(|(quick, plain)| quick != plain);
        assert_eq!(differs, None, "{name} {settings:?}");
        assert_eq!(quick.len(), plain.len(), "{name} {settings:?}");
    }
}
