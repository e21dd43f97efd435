//! Steps of the timeline.

use std::collections::BTreeSet;

use super::{Lot, Shape, gated, pool, workload};

const CONDITIONS: [&str; 3] = ["Ready", "NetworkingReady", "KernelReady"];

/// A step with its instant.
pub(super) struct Step {
    pub(super) second: u64,
    /// As the scenario says it.
    pub(super) action: String,
    /// What an `Apply` brings: `Kind/name` or `Kind/namespace/name`.
    pub(super) object: Option<String>,
}

impl Step {
    /// The line of the scenario.
    pub(super) fn line(&self) -> String {
        format!("        At(\"{}s\", {}),\n", self.second, self.action)
    }

    /// The object that it names.
    fn target(&self) -> Option<&str> {
        self.action.split('"').nth(1).filter(|text| text.contains('/'))
    }
}

/// Steps on an object that is deleted by then are no valid input. Nodes come and go: any may be named.
pub(super) fn leave_out_what_is_gone(steps: &mut Vec<Step>) {
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|i| (steps[*i].second, *i));
    let (mut gone, mut left_out) = (BTreeSet::new(), BTreeSet::new());
    for i in order {
        let Step { action, object, .. } = &steps[i];
        if let Some(object) = object {
            gone.remove(object.as_str());
        } else if let Some(target) = steps[i].target().filter(|id| !id.starts_with("Node/")) {
            let is_left_out = gone.contains(target);
            left_out.extend(is_left_out.then_some(i));
            if action.starts_with("Delete(") {
                gone.insert(target);
            }
        }
    }
    let mut i = 0..;
    steps.retain(|_| i.next().is_none_or(|i| !left_out.contains(&i)));
}

/// The object of an `Apply` and its manifest: another one of a name that exists, or a new one.
pub(super) fn applied(step: &mut Lot, object: &mut Lot, shape: &Shape) -> (String, String) {
    match step.below(6) {
        0 => (format!("NodePool/pool-{}", shape.pools), pool::pool(object, shape.pools)),
        1 | 2 => {
            let target = step.below(shape.pools);
            (format!("NodePool/pool-{target}"), pool::pool(object, target))
        }
        3 => {
            let target = step.below(shape.apps + 1);
            (format!("Deployment/default/app-{target}"), workload::deployment(object, target))
        }
        4 => ("NodeOverlay/overlay-0".to_owned(), gated::overlay(object, 0)),
        _ => ("Job/default/report".to_owned(), workload::job(object)),
    }
}

/// A step that needs no file.
pub(super) fn step(lot: &mut Lot, shape: &Shape) -> String {
    let number = lot.below(shape.pools);
    let pool = format!("\"NodePool/pool-{number}\"");
    let app = format!("\"Deployment/default/app-{}\"", lot.below(shape.apps));
    let count = 1 + lot.below(3);
    let lasts = lot.pick(&["2m", "10m", "40m"]);
    match lot.below(27) {
        0..=5 => format!("Scale({app}, {})", lot.below(20)),
        6 => format!("Drift({pool})"),
        7 => format!("ReleaseAmi(\"EC2NodeClass/{}\")", lot.pick(&["default", "other"])),
        8 => format!("StockOut({}, lasts: \"{lasts}\")", offerings(lot, shape)),
        9 => format!("Interrupt({pool}, {count})"),
        10 => format!("FailLaunches({pool}, \"{lasts}\")"),
        11 => format!("FailJoins({pool}, \"{lasts}\")"),
        12 => format!("LoseInstances({pool}, {count})"),
        13 => format!("BreakNodes({pool}, {count}, \"{}\")", lot.pick(&CONDITIONS)),
        14 => format!("DoNotDisrupt({app}, {})", lot.below(20)),
        15 => "Restart".to_owned(),
        16 => format!("Withdraw(\"{}\")", lot.pick(&["m5.*", "*.xlarge", "c*"])),
        17 => {
            let factor = lot.pick(&["0.5", "1.7"]);
            format!("PriceChange({}, factor: {factor})", offerings(lot, shape))
        }
        18 | 19 => patch_of_pool(lot, &pool),
        20 => patch_of_app(lot, &app),
        21 => patch_of_another(lot, shape),
        22 => format!("Delete(\"Node/pool-{number}-0000{count}\")"),
        23 => format!("RecommendRebalance({pool}, {count})"),
        24 => format!("RetireInstances({pool}, {count}, \"{lasts}\")"),
        25 => format!("ImpairInstances({pool}, {count})"),
        _ => delete(lot, shape),
    }
}

fn offerings(lot: &mut Lot, shape: &Shape) -> String {
    let types = lot.pick(&["*", "m5.*", "c*", "*.large"]);
    let zone = lot.maybe(50, |lot| format!(", zone: \"{}\"", lot.pick(&shape.zones)));
    let kind =
        lot.maybe(70, |lot| format!(", capacity_type: \"{}\"", lot.pick(&["spot", "on-demand"])));
    format!("types: \"{types}\"{zone}{kind}")
}

/// What people change of a NodePool: its disruption, or what makes its nodes drift.
fn patch_of_pool(lot: &mut Lot, pool: &str) -> String {
    let field = match lot.below(7) {
        0 => {
            let after = lot.pick(&["0s", "1m", "Never"]);
            format!("\"disruption\": {{\"consolidateAfter\": \"{after}\"}}")
        }
        1 => {
            let nodes = lot.pick(&["0", "2", "50%"]);
            format!("\"disruption\": {{\"budgets\": [{{\"nodes\": \"{nodes}\"}}]}}")
        }
        2 => "\"template\": {\"metadata\": {\"labels\": {\"wave\": \"two\"}}}".to_owned(),
        3 => format!("\"limits\": {{\"cpu\": \"{}\"}}", lot.pick(&[2, 24, 400])),
        4 => {
            let policy = lot.pick(&["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"]);
            format!("\"disruption\": {{\"consolidationPolicy\": \"{policy}\"}}")
        }
        5 => {
            let time = lot.pick(&["20m", "Never"]);
            format!("\"template\": {{\"spec\": {{\"expireAfter\": \"{time}\"}}}}")
        }
        _ => format!("\"weight\": {}", 1 + lot.below(100)),
    };
    format!("Patch({pool}, {{\"spec\": {{{field}}}}})")
}

fn patch_of_app(lot: &mut Lot, app: &str) -> String {
    let cpu = lot.pick(&["200m", "1", "2500m"]);
    let containers = format!(
        "[{{\"name\": \"main\", \"resources\": {{\"requests\": {{\"cpu\": \"{cpu}\"}}}}}}]"
    );
    let replicas = lot.maybe(30, |lot| format!("\"replicas\": {}, ", lot.below(12)));
    let template = format!("{{\"spec\": {{\"containers\": {containers}}}}}");
    format!("Patch({app}, {{\"spec\": {{{replicas}\"template\": {template}}}}})")
}

/// Of an object of which there may be none, or else of one that every cluster has.
fn patch_of_another(lot: &mut Lot, shape: &Shape) -> String {
    match lot.below(4) {
        0 if shape.is_static => {
            format!("Patch(\"NodePool/fixed\", {{\"spec\": {{\"replicas\": {}}}}})", lot.below(5))
        }
        1 if shape.overlays > 0 => {
            let price = lot.pick(&["-10%", "+200%"]);
            let patch =
                format!("{{\"spec\": {{\"price\": null, \"priceAdjustment\": \"{price}\"}}}}");
            format!("Patch(\"NodeOverlay/overlay-0\", {patch})")
        }
        2 if shape.buffers > 0 => {
            let patch = format!("{{\"spec\": {{\"limits\": {{\"cpu\": {}}}}}}}", lot.pick(&[1, 6]));
            format!("Patch(\"CapacityBuffer/default/buffer-0\", {patch})")
        }
        3 => {
            let wave = lot.pick(&["one", "two"]);
            let patch = format!("{{\"spec\": {{\"tags\": {{\"wave\": \"{wave}\"}}}}}}");
            format!("Patch(\"EC2NodeClass/default\", {patch})")
        }
        _ => {
            let tolerations = "\"tolerations\": [{\"key\": \"team\", \"operator\": \"Exists\"}]";
            let spec = format!("{{\"template\": {{\"spec\": {{{tolerations}}}}}}}");
            format!("Patch(\"DaemonSet/kube-system/agent\", {{\"spec\": {spec}}})")
        }
    }
}

fn delete(lot: &mut Lot, shape: &Shape) -> String {
    let target = match lot.below(6) {
        0 => format!("NodePool/pool-{}", lot.below(shape.pools)),
        1 if shape.is_static => "NodePool/fixed".to_owned(),
        2 if shape.overlays > 0 => "NodeOverlay/overlay-0".to_owned(),
        3 if shape.buffers > 0 => "CapacityBuffer/default/buffer-0".to_owned(),
        4 => "Job/default/report".to_owned(),
        _ => format!("Deployment/default/app-{}", lot.below(shape.apps)),
    };
    format!("Delete(\"{target}\")")
}
