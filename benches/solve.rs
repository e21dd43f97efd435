//! The provisioner core alone: one Solve from parsed input.
//!
//! `diverse` is the workload of Karpenter's own scheduling benchmark (karpenter v1.14.1
//! `pkg/controllers/provisioning/scheduling/scheduling_benchmark_test.go`), read from the
//! recordings beside the repository;
//! `identical` is one Deployment against 800 instance types.

use std::io::Read;
use std::path::Path;

use divan::counter::ItemsCount;
use karpsim::conformance::ProvisioningPass;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// A recorded input, `None` where the recordings are not there.
fn recorded(pods: usize) -> Option<ProvisioningPass> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/bench");
    let file = std::fs::File::open(folder.join(format!("bench-diverse-{pods}.json.gz"))).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("valid gzip");
    let value: Value = serde_json::from_str(&text).expect("valid JSON");
    let case = value.get("case").unwrap_or(&value);
    Some(ProvisioningPass::read(case).expect("a provisioning case"))
}

#[divan::bench(args = [100, 1_000, 5_000, 10_000, 20_000])]
fn diverse(bencher: divan::Bencher<'_, '_>, pods: usize) {
    let Some(pass) = recorded(pods) else {
        println!("skipped: the recordings are not there");
        return;
    };
    let solution = pass.solve();
    assert!(solution.unplaced.is_empty());
    assert_eq!(solution.claims.len(), pods / 5, "as many claims as Karpenter makes");
    bencher.counter(ItemsCount::new(pods)).bench_local(|| pass.solve());
}

/// `count` instance types of 2 to 96 CPUs with 1 to 8 GiB a CPU, in three zones, spot and on demand.
fn instance_types(count: usize) -> Vec<Value> {
    let one = |i: usize| {
        let cpu = 2 + i * 94 / count;
        let memory = cpu * (1 + i % 8);
        let name = format!("type-{i}");
        let zones = ["zone-1", "zone-2", "zone-3"];
        let offerings: Vec<Value> = (zones.iter())
            .flat_map(|zone| {
                ["on-demand", "spot"].map(|capacity_type| {
                    let price = cpu as f64 * if capacity_type == "spot" { 0.02 } else { 0.05 };
                    json!({ "zone": zone, "capacityType": capacity_type, "price": price, "available": true })
                })
            })
            .collect();
        json!({
            "name": name,
            "capacity": { "cpu": cpu.to_string(), "memory": format!("{memory}Gi"), "pods": "110" },
            "overhead": { "kubeReserved": { "cpu": "100m", "memory": "500Mi" } },
            "requirements": [
                { "key": "node.kubernetes.io/instance-type", "operator": "In", "values": [name] },
                { "key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"] },
                { "key": "topology.kubernetes.io/zone", "operator": "In", "values": zones },
                { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand", "spot"] },
            ],
            "offerings": offerings,
        })
    };
    (0..count).map(one).collect()
}

#[divan::bench(args = [1_000, 10_000])]
fn identical(bencher: divan::Bencher<'_, '_>, pods: usize) {
    let mut objects = vec![json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "default" },
        "spec": { "template": { "spec": { "requirements": [], "nodeClassRef":
            { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" } } } },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })];
    let container =
        json!({ "name": "main", "resources": { "requests": { "cpu": "500m", "memory": "1Gi" } } });
    objects.extend((0..pods).map(|i| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": format!("web-{i:06}"), "namespace": "default", "uid": format!("{i:06}") },
            "spec": { "containers": [container] },
        })
    }));
    let case = json!({
        "now": "2026-01-01T00:00:00Z", "options": {}, "kind": "provision",
        "instanceTypes": instance_types(800), "objects": objects,
    });
    let pass = ProvisioningPass::read(&case).expect("a provisioning case");
    assert!(pass.solve().unplaced.is_empty());
    bencher.counter(ItemsCount::new(pods)).bench_local(|| pass.solve());
}
