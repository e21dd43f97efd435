//! NodePools of `karpenter.sh/v1`: defaults and rules of the CRD and of Karpenter's own validation.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/v1/nodepool.go`,
//! `pkg/apis/crds/karpenter.sh_nodepools.yaml`.

use super::pod::resource_list;
use super::reader::{Field, Never, Object, Reader, Unknown};
use super::requirement::{self, Owner};
use crate::diagnostic;
use crate::kube::label;
use crate::kube::node_pool::{
    Budget, BudgetNodes, ConsolidationPolicy, Disruption, NodeClaimTemplate, NodePool, Reason,
};
use crate::kube::schedule::Schedule;
use crate::kube::taint::Taint;
use crate::kube::{Labels, Requirements};
use crate::units::{LabelValue, SimDuration};

/// `spec.template.spec.expireAfter` when absent.
const DEFAULT_EXPIRE_AFTER: SimDuration = SimDuration::from_minutes(720 * 60);

/// Reads the spec of a NodePool; `None` when a part without a default is missing or wrong.
pub fn read(reader: &mut Reader<'_>, object: &mut Object<'_>, name: &str) -> Option<NodePool> {
    let spec = object.required("spec", reader)?;
    let mut spec = reader.object(&spec)?;
    let template = spec.required("template", reader);
    let disruption = spec.get("disruption");
    let limits = spec.get("limits");
    let weight = spec.get("weight");
    let replicas = spec.get("replicas");
    reader.finish(spec, Unknown::Error);
    if replicas.is_some() {
        refuse_what_static_pools_lack(reader, weight.as_ref(), limits.as_ref());
    }

    let disruption = match disruption {
        Some(field) => read_disruption(reader, &field),
        None => Some(default_disruption()),
    };
    let limits = limits.map(|field| resource_list(reader, &field));
    let weight = weight.and_then(|field| reader.integer(&field, 1, 100)).unwrap_or(0);
    let template = template.and_then(|field| read_template(reader, &field));
    Some(NodePool {
        name: reader.symbols.intern_value(name),
        template: template?,
        disruption: disruption?,
        limits,
        weight: i32::try_from(weight).unwrap_or(0),
        replicas: replicas.and_then(|field| reader.integer(&field, 0, i64::from(i32::MAX))),
    })
}

/// A NodePool with `replicas` is ordered by no weight and limited by its count of nodes alone.
fn refuse_what_static_pools_lack(
    reader: &mut Reader<'_>,
    weight: Option<&Field<'_>>,
    limits: Option<&Field<'_>>,
) {
    if let Some(field) = weight {
        let rule = "a static NodePool has no weight";
        let problem = diagnostic::rule_broken(field.span(), &field.path, rule);
        reader.push(problem.help("remove `weight`, or `replicas`"));
    }
    let Some(field) = limits else {
        return;
    };
    for (key, span, _) in reader.entries(field).into_iter().filter(|(key, ..)| key != "nodes") {
        let rule = format!("a static NodePool has the limit `nodes` only, not `{key}`");
        let problem = diagnostic::rule_broken(span, &field.path, &rule);
        reader.push(problem.help("write limits: {nodes: \"10\"}, or remove `replicas`"));
    }
}

fn default_disruption() -> Disruption {
    Disruption {
        consolidate_after: Some(SimDuration::ZERO),
        policy: ConsolidationPolicy::WhenEmptyOrUnderutilized,
        budgets: vec![Budget { nodes: BudgetNodes::Percent(10), schedule: None, reasons: None }],
    }
}

fn read_disruption(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Disruption> {
    let mut object = reader.object(field)?;
    let mut disruption = default_disruption();
    let after = object.required("consolidateAfter", reader);
    let policy = object.get("consolidationPolicy");
    let budgets = object.get("budgets");
    reader.finish(object, Unknown::Error);
    if let Some(after) = after.and_then(|field| reader.duration(&field, "smh", Never::Allowed)) {
        disruption.consolidate_after = after;
    }
    if let Some(field) = policy {
        let choices = ConsolidationPolicy::ALL.map(|policy| (policy.name(), policy));
        if field.node.text() == Some("WhenUnderutilized") {
            let problem = diagnostic::unknown_value(field.span(), &field.path, "WhenUnderutilized")
                .note("WhenUnderutilized was the name in karpenter.sh/v1beta1")
                .suggest("WhenEmptyOrUnderutilized", ["WhenEmptyOrUnderutilized"]);
            reader.push(problem);
        } else if let Some(policy) = reader.choice(&field, &choices) {
            disruption.policy = policy;
        }
    }
    if let Some(field) = budgets {
        let items = reader.list(&field);
        if items.len() > 50 {
            reader.broken(&field, "at most 50 budgets are allowed");
        }
        disruption.budgets = items.iter().filter_map(|item| read_budget(reader, item)).collect();
    }
    Some(disruption)
}

fn read_budget(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Budget> {
    let mut object = reader.object(field)?;
    let nodes = object.get("nodes");
    let reasons = object.get("reasons");
    let schedule = object.get("schedule");
    let duration = object.get("duration");
    reader.finish(object, Unknown::Error);
    let nodes = match nodes {
        Some(field) => budget_nodes(reader, &field),
        None => Some(BudgetNodes::Percent(10)),
    };
    let reasons = reasons.map(|field| {
        let choices = Reason::ALL.map(|reason| (reason.name(), reason));
        let items = reader.list(&field);
        let mut found: Vec<Reason> = Vec::new();
        for item in &items {
            let Some(reason) = reader.choice(item, &choices) else { continue };
            if found.contains(&reason) {
                let rule = format!("{} stands twice", reason.name());
                let problem = diagnostic::rule_broken(item.span(), &item.path, &rule);
                reader
                    .push(problem.help("the reasons of a budget are a set: remove one of the two"));
            }
            found.push(reason);
        }
        found
    });
    let schedule = match (schedule, duration) {
        (Some(schedule), Some(duration)) => Some(read_schedule(reader, &schedule, &duration)?),
        (Some(alone), None) => {
            reader.broken(&alone, "schedule must be set together with duration");
            None
        }
        (None, Some(alone)) => {
            reader.broken(&alone, "duration must be set together with schedule");
            None
        }
        (None, None) => None,
    };
    Some(Budget { nodes: nodes?, schedule, reasons })
}

/// Karpenter itself admits schedules that it cannot parse and then allows no disruption at all; they are refused here.
fn read_schedule(
    reader: &mut Reader<'_>,
    schedule: &Field<'_>,
    duration: &Field<'_>,
) -> Option<Schedule> {
    let span = budget_duration(reader, duration);
    let text = reader.text(schedule)?;
    match Schedule::parse(&text, span?) {
        Ok(schedule) => Some(schedule),
        Err(reason) => {
            reader.broken(schedule, &reason);
            None
        }
    }
}

/// `^((([0-9]+(h|m))|([0-9]+h[0-9]+m))(0s)?)$`: hours and minutes, as Kubernetes writes them back with `0s`.
fn budget_duration(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<SimDuration> {
    let span = reader.duration(field, "hms", Never::Refused).flatten()?;
    let text = reader.text_or_number(field, "a duration")?;
    let whole = text.strip_suffix("0s").filter(|rest| rest.ends_with(['h', 'm'])).unwrap_or(&text);
    if whole.contains('s') {
        reader.broken(field, "must be in hours and minutes, such as 10h5m or 30m");
        return None;
    }
    Some(span)
}

/// `^((100|[0-9]{1,2})%|[0-9]+)$`, a text or a number.
fn budget_nodes(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<BudgetNodes> {
    let text = reader.text_or_number(field, "a number of nodes or a percentage")?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let nodes = match text.strip_suffix('%') {
        Some(percent) if digits(percent) && percent.len() <= 3 => {
            percent.parse().ok().filter(|percent| *percent <= 100).map(BudgetNodes::Percent)
        }
        None if digits(&text) => text.parse().ok().map(BudgetNodes::Count),
        _ => None,
    };
    if nodes.is_none() {
        reader.broken(field, "must be a whole number, or a percentage from 0% to 100%");
    }
    nodes
}

fn read_template(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<NodeClaimTemplate> {
    let mut object = reader.object(field)?;
    let metadata = object.get("metadata");
    let spec = object.required("spec", reader);
    reader.finish(object, Unknown::Error);
    let (labels, annotations) = template_metadata(reader, metadata.as_ref());
    let mut spec = reader.object(&spec?)?;
    let requirements = spec.required("requirements", reader);
    let taints = spec.get("taints");
    let startup_taints = spec.get("startupTaints");
    let class_ref = spec.required("nodeClassRef", reader);
    let expire_after = spec.get("expireAfter");
    let grace = spec.get("terminationGracePeriod");
    reader.finish(spec, Unknown::Error);

    let requirements = requirements.map(|field| read_requirements(reader, &field));
    let mut seen = Vec::new();
    let mut read_taints = |field: Option<Field<'_>>, reader: &mut Reader<'_>| match field {
        Some(field) => requirement::taints(reader, &field, &mut seen),
        None => Vec::new(),
    };
    let taints = read_taints(taints, reader);
    let startup_taints = read_taints(startup_taints, reader);
    let expire_after = match expire_after {
        Some(field) => reader.duration(&field, "smh", Never::Allowed),
        None => Some(Some(DEFAULT_EXPIRE_AFTER)),
    };
    let termination_grace_period =
        grace.and_then(|field| reader.duration(&field, "smh", Never::Refused)).flatten();
    let class = class_ref.and_then(|field| node_class_ref(reader, &field));
    let mut template = NodeClaimTemplate {
        labels,
        requirements: requirements?,
        taints,
        startup_taints,
        node_class: class?,
        expire_after: expire_after?,
        termination_grace_period,
        drift_fields: String::new(),
    };
    template.drift_fields = drift_fields(reader, &template, annotations);
    Some(template)
}

fn read_requirements(reader: &mut Reader<'_>, field: &Field<'_>) -> Requirements {
    if reader.list(field).len() > 100 {
        reader.broken(field, "at most 100 requirements are allowed");
    }
    requirement::requirements(reader, field, Owner::NodePool)
}

/// Labels, and annotations as `key=value`.
fn template_metadata(reader: &mut Reader<'_>, field: Option<&Field<'_>>) -> (Labels, Vec<String>) {
    let nothing = (Labels::default(), Vec::new());
    let Some(mut object) = field.and_then(|field| reader.object(field)) else {
        return nothing;
    };
    let labels_field = object.get("labels");
    let annotations_field = object.get("annotations");
    reader.finish(object, Unknown::Error);
    let mut labels = Labels::default();
    if let Some(field) = labels_field {
        for (key, span, _) in reader.entries(&field) {
            let restricted = label::is_refused_in_node_pools(label::normalize(&key));
            if restricted || key == "karpenter.sh/nodepool" {
                let rule = format!("the label `{key}` is restricted");
                reader.push(diagnostic::rule_broken(span, &field.path, &rule));
            }
        }
        labels = requirement::labels(reader, &field);
        if labels.len() > 100 {
            reader.broken(&field, "at most 100 labels are allowed");
        }
    }
    let mut annotations = Vec::new();
    if let Some(field) = annotations_field {
        for (key, _, value) in reader.entries(&field) {
            let text = reader.text(&value).unwrap_or_default();
            annotations.push(format!("{key}={text}"));
        }
    }
    (labels, annotations)
}

fn node_class_ref(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<LabelValue> {
    let mut object = reader.object(field)?;
    let group = object.required("group", reader);
    let kind = object.required("kind", reader);
    let name = object.required("name", reader);
    if let Some(field) = object.get("apiVersion") {
        let problem = diagnostic::unknown_field(field.span(), &field.path, "NodePool").help(
            "write `group: karpenter.k8s.aws`; `apiVersion` was the name in karpenter.sh/v1beta1",
        );
        reader.push(problem);
    }
    reader.finish(object, Unknown::Error);
    for (field, only) in [(group, "karpenter.k8s.aws"), (kind, "EC2NodeClass")] {
        let Some(field) = field else { continue };
        if reader.text(&field).is_some_and(|text| text != only) {
            let rule = format!("Karpenter on AWS ignores NodePools of other classes; write {only}");
            reader.broken(&field, &rule);
        }
    }
    let name = reader.filled_text(&name?)?;
    Some(reader.symbols.intern_value(&name))
}

/// The fields whose change is drift, sets sorted (karpenter v1.14.1 `NodePool.Hash`).
fn drift_fields(
    reader: &Reader<'_>,
    template: &NodeClaimTemplate,
    mut annotations: Vec<String>,
) -> String {
    let symbols = &*reader.symbols;
    let sorted = |mut list: Vec<String>| {
        list.sort_unstable();
        list.join(",")
    };
    let text = |value: LabelValue| symbols.text(value.symbol);
    let labels = template.labels.iter().map(|(k, v)| format!("{}={}", symbols.text(k), text(v)));
    let taints =
        |list: &[Taint]| sorted(list.iter().map(|taint| taint.describe(symbols)).collect());
    annotations.sort_unstable();
    let seconds = |span: Option<SimDuration>| span.map_or(String::new(), |span| span.to_string());
    format!(
        "labels {}; annotations {}; taints {}; startupTaints {}; nodeClass {}; expireAfter {}; \
         terminationGracePeriod {}",
        sorted(labels.collect()),
        annotations.join(","),
        taints(&template.taints),
        taints(&template.startup_taints),
        text(template.node_class),
        seconds(template.expire_after),
        seconds(template.termination_grace_period),
    )
}
