//! What-ifs of consolidation: one pass of each method on the clusters on which Karpenter itself was timed.
//!
//! `cold` makes all that is kept between passes anew; `kept` is a pass that finds it made, as in a running cluster.

use std::io::Read;
use std::path::Path;

use karpsim::conformance::DisruptionPass;
use serde_json::Value;

fn main() {
    divan::main();
}

const CLUSTERS: [&str; 6] = ["100", "100-tight", "500", "500-tight", "1000", "1000-tight"];

/// A recorded input, `None` where the recordings are not there.
fn recorded(name: &str) -> Option<DisruptionPass> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/bench");
    let file =
        std::fs::File::open(folder.join(format!("bench-consolidate-{name}.json.gz"))).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("valid gzip");
    let value: Value = serde_json::from_str(&text).expect("valid JSON");
    let case = value.get("case").unwrap_or(&value);
    Some(DisruptionPass::read(case).expect("a disruption case"))
}

#[divan::bench(args = CLUSTERS)]
fn single_node_cold(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(pass) = recorded(name) else {
        println!("skipped: the recordings are not there");
        return;
    };
    bencher.bench_local(|| pass.ask(&mut pass.core(), "SingleNodeConsolidation"));
}

#[divan::bench(args = CLUSTERS)]
fn single_node_kept(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(pass) = recorded(name) else { return };
    let mut core = pass.core();
    bencher.bench_local(|| pass.ask(&mut core, "SingleNodeConsolidation"));
}

#[divan::bench(args = CLUSTERS)]
fn multi_node_kept(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(pass) = recorded(name) else { return };
    let mut core = pass.core();
    bencher.bench_local(|| pass.ask(&mut core, "MultiNodeConsolidation"));
}
