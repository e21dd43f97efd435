//! What-ifs of consolidation: one pass of each method on the clusters on which Karpenter itself was timed, and on ten
//! copies of the largest ones side by side.
//!
//! `cold` makes all that is kept between passes anew; `first` is the pass alone that comes after it; `kept` is a pass that
//! finds everything made, as in a running cluster; `search` leaves the validation of the found command out; `tick` is a
//! pass of all methods after a dozen pods changed.

use std::io::Read;
use std::path::Path;

use karpsim::conformance::DisruptionPass;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

const CLUSTERS: [&str; 8] =
    ["100", "100-tight", "500", "500-tight", "1000", "1000-tight", "10000", "10000-tight"];

/// A recorded input, or ten copies of one; `None` where the recordings are not there.
fn recorded(name: &str) -> Option<DisruptionPass> {
    let (name, copies) = match name.strip_prefix("10000") {
        Some(rest) => (format!("1000{rest}"), 10),
        None => (name.to_owned(), 1),
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/bench");
    let file =
        std::fs::File::open(folder.join(format!("bench-consolidate-{name}.json.gz"))).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("valid gzip");
    let value: Value = serde_json::from_str(&text).expect("valid JSON");
    let mut case = value.get("case").unwrap_or(&value).clone();
    let objects = case["objects"].as_array_mut().expect("a list");
    let parts: Vec<Value> = objects.iter().filter(|object| is_of_a_node(object)).cloned().collect();
    for copy in 1..copies {
        objects.extend(parts.iter().map(|object| copied(object, copy)));
    }
    Some(DisruptionPass::read(&case).expect("a disruption case"))
}

fn is_of_a_node(object: &Value) -> bool {
    ["Node", "NodeClaim", "Pod"].contains(&object["kind"].as_str().unwrap_or_default())
}

/// The object under another name, on another node.
fn copied(object: &Value, copy: usize) -> Value {
    let mut object = object.clone();
    for place in [
        "/metadata/name",
        "/metadata/uid",
        "/metadata/labels/kubernetes.io~1hostname",
        "/spec/nodeName",
        "/spec/providerID",
        "/status/providerID",
        "/status/nodeName",
    ] {
        if let Some(Value::String(text)) = object.pointer(place) {
            let text = format!("{text}-{copy}");
            *object.pointer_mut(place).expect("it is there") = json!(text);
        }
    }
    object
}

#[divan::bench(args = CLUSTERS)]
fn single_node_cold(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(pass) = recorded(name) else {
        println!("skipped: the recordings are not there");
        return;
    };
    bencher.bench_local(|| pass.ask(&mut pass.keep(), "SingleNodeConsolidation"));
}

#[divan::bench(args = CLUSTERS)]
fn single_node_first(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(pass) = recorded(name) else { return };
    let first = bencher.with_inputs(|| pass.keep());
    first.bench_local_refs(|kept| pass.ask(kept, "SingleNodeConsolidation"));
}

#[divan::bench(args = CLUSTERS)]
fn single_node_kept(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(pass) = recorded(name) else { return };
    let mut kept = pass.keep();
    bencher.bench_local(|| pass.ask(&mut kept, "SingleNodeConsolidation"));
}

#[divan::bench(args = CLUSTERS)]
fn multi_node_kept(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(pass) = recorded(name) else { return };
    let mut kept = pass.keep();
    bencher.bench_local(|| pass.ask(&mut kept, "MultiNodeConsolidation"));
}

#[divan::bench(args = CLUSTERS)]
fn multi_node_search(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(pass) = recorded(name) else { return };
    let mut kept = pass.keep();
    bencher.bench_local(|| pass.search(&mut kept, "MultiNodeConsolidation"));
}

/// Only where there is nothing to find: a command would end the pass.
#[divan::bench(args = ["100-tight", "500-tight", "1000-tight", "10000-tight"])]
fn tick(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(mut pass) = recorded(name) else { return };
    let mut kept = pass.keep();
    let mut first = 0;
    bencher.bench_local(|| {
        first = (first + 97) % 1_400;
        pass.touch(first, 12);
        pass.tick(&mut kept)
    });
}
