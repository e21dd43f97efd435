//! Planned NodeClaims in the words of the recordings, ours and the recorded ones alike.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{NotComparable, catalogue, malformed};
use crate::ec2::{CapacityType, InstanceType};
use crate::kube::requirement::{Operator, Requirement};
use crate::kube::{Requirements, label};
use crate::scheduling::ClaimPlan;
use crate::units::{ResourceVec, Symbols};
use crate::world::{ClusterView, PodId};

/// Most values of an instance-type requirement that the recordings write out.
const MOST_TYPE_VALUES: usize = 20;

/// Tolerance of sums of prices, USD per hour.
pub(super) const PRICE_TOLERANCE: f64 = 1e-6;

/// A NodeClaim to be created.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Claim {
    pub(super) nodepool: String,
    /// `namespace/name`, ascending.
    pub(super) pods: Vec<String>,
    pub(super) requests: BTreeMap<String, i64>,
    pub(super) requirements: Vec<String>,
    /// Positions in the case's list of instance types, in the order of launch.
    pub(super) options: Vec<u64>,
    pub(super) launch: Option<Launch>,
}

/// The offering that the recordings' rule picks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Launch {
    pub(super) instance_type: String,
    pub(super) zone: String,
    pub(super) capacity_type: String,
    pub(super) price: f64,
}

impl std::fmt::Display for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Launch { instance_type, zone, capacity_type, price } = self;
        write!(f, "{instance_type} {zone} {capacity_type} {price}")
    }
}

impl Claim {
    /// A plan of the provisioner core.
    pub(super) fn planned(view: &ClusterView<'_>, plan: &ClaimPlan) -> Claim {
        let types = &view.cluster.pools[plan.pool].types;
        Claim {
            nodepool: view.cluster.pools[plan.pool].name.to_string(),
            pods: pod_names(view, &plan.pods),
            requests: amounts(&plan.requests),
            requirements: written(view.symbols, &plan.requirements, &plan.types, types),
            options: plan.types.iter().map(|i| u64::from(*i)).collect(),
            launch: launch(view.symbols, plan, types),
        }
    }

    /// A recorded one.
    pub(super) fn recorded(value: &Value) -> Result<Claim, NotComparable> {
        let requirements = value["requirements"].as_array().into_iter().flatten();
        let mut requirements: Vec<String> = requirements.map(write_recorded).collect();
        requirements.sort_unstable();
        let options = value["options"].as_array().into_iter().flatten();
        Ok(Claim {
            nodepool: value["nodepool"].as_str().unwrap_or_default().to_owned(),
            pods: texts(&value["pods"]),
            requests: amounts(&catalogue::resources(&value["requests"])?),
            requirements,
            options: options.filter_map(Value::as_u64).collect(),
            launch: recorded_launch(&value["launch"])?,
        })
    }
}

fn recorded_launch(value: &Value) -> Result<Option<Launch>, NotComparable> {
    if value.is_null() {
        return Ok(None);
    }
    let text = |key: &str| {
        let text = value[key].as_str().map(str::to_owned);
        text.ok_or_else(|| malformed(format!("launch without {key}")))
    };
    Ok(Some(Launch {
        instance_type: text("type")?,
        zone: text("zone")?,
        capacity_type: text("capacityType")?,
        price: value["price"].as_f64().ok_or_else(|| malformed("launch without price"))?,
    }))
}

/// A list of texts.
pub(super) fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// `namespace/name`, ascending.
pub(super) fn pod_names(view: &ClusterView<'_>, pods: &[PodId]) -> Vec<String> {
    let mut names: Vec<String> =
        pods.iter().map(|pod| view.cluster.pods[*pod].full_name()).collect();
    names.sort_unstable();
    names
}

fn amounts(requests: &ResourceVec) -> BTreeMap<String, i64> {
    requests.iter().map(|(name, amount)| (name.to_owned(), amount)).collect()
}

/// `key Operator [values] minValues`, ascending. The plain instance-type requirement is left out: the options say
/// it; with minValues it names the options.
fn written(
    symbols: &Symbols,
    requirements: &Requirements,
    options: &[u32],
    types: &[InstanceType],
) -> Vec<String> {
    let mut list = Vec::new();
    for (key, requirement) in requirements.iter() {
        if key == label::INSTANCE_TYPE {
            let Some(minimum) = requirement.min_values() else { continue };
            let names = options.iter().map(|i| types[*i as usize].name);
            let named = Requirement::new(Operator::In, names).with_min_values(Some(minimum));
            list.extend(write(symbols.text(key), &named, symbols));
        } else {
            list.extend(write(symbols.text(key), requirement, symbols));
        }
    }
    list.sort_unstable();
    list
}

/// One requirement as the node selector requirements that Karpenter writes for it (karpenter v1.14.1
/// `pkg/scheduling/requirement.go`, `NodeSelectorRequirements`).
pub(super) fn write(key: &str, requirement: &Requirement, symbols: &Symbols) -> Vec<String> {
    let minimum = requirement.min_values();
    let (gte, lte) = requirement.bounds();
    let bounds = [(gte, Operator::Gte), (lte, Operator::Lte)];
    let bounded = bounds.into_iter().filter_map(|(bound, operator)| Some((bound?, operator)));
    let list: Vec<String> = bounded
        .map(|(bound, operator)| line(key, operator, vec![bound.to_string()], minimum))
        .collect();
    if !list.is_empty() {
        // Exclusions beside bounds are lost, as upstream.
        return list;
    }
    let values = requirement.values().iter();
    let values = values.map(|v| symbols.text(v.symbol).to_owned()).collect();
    vec![line(key, requirement.operator(), values, minimum)]
}

fn line(key: &str, operator: Operator, mut values: Vec<String>, minimum: Option<u32>) -> String {
    values.sort_unstable();
    if key == "node.kubernetes.io/instance-type" && values.len() > MOST_TYPE_VALUES {
        values = vec!["...".to_owned()];
    }
    let minimum = minimum.map_or(String::new(), |minimum| format!(" minValues {minimum}"));
    format!("{key} {} [{}]{minimum}", operator.name(), values.join(" "))
}

/// A recorded requirement in the same form.
pub(super) fn write_recorded(entry: &Value) -> String {
    let key = entry["key"].as_str().unwrap_or_default();
    let operator = entry["operator"].as_str().unwrap_or_default();
    let mut values = texts(&entry["values"]);
    values.sort_unstable();
    let minimum = entry["minValues"].as_u64();
    let minimum = minimum.map_or(String::new(), |minimum| format!(" minValues {minimum}"));
    format!("{key} {operator} [{}]{minimum}", values.join(" "))
}

/// The recordings' launch rule: the best capacity type that any option has, within it the lowest price, then the
/// smaller type name, then the smaller zone name. It is no decision of Karpenter, and not the rule of `ec2::fleet`.
fn launch(symbols: &Symbols, plan: &ClaimPlan, types: &[InstanceType]) -> Option<Launch> {
    let offers = plan.types.iter().flat_map(|i| {
        let it = &types[*i as usize];
        let offers = it.offerings.iter();
        offers
            .filter(|o| o.available && o.compatible_with(&plan.requirements))
            .map(move |o| (symbols.text(it.name.symbol), o))
    });
    let best = offers.min_by(|(a_name, a), (b_name, b)| {
        let by_price = a.capacity_type.cmp(&b.capacity_type).then(a.price.total_cmp(&b.price));
        let zones = || symbols.text(a.zone.symbol).cmp(symbols.text(b.zone.symbol));
        by_price.then_with(|| a_name.cmp(b_name)).then_with(zones)
    });
    best.map(|(name, offering)| Launch {
        instance_type: name.to_owned(),
        zone: symbols.text(offering.zone.symbol).to_owned(),
        capacity_type: CapacityType::name(offering.capacity_type).to_owned(),
        price: offering.price,
    })
}
