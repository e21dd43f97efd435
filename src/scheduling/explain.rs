//! Karpenter's text for a pod that no template takes.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/nodeclaim.go` (`InstanceTypeFilterError`).

use super::claim::{Memory, Refusal};
use super::min_values;
use super::requirement_set::SetId;
use super::template::Template;
use super::topology::Demand;
use super::variant::Variant;
use crate::kube::requirement::{AllowUndefined, Requirements};
use crate::kube::taint;
use crate::units::{BitSet, ResourceVec};
use crate::world::ClusterView;

/// A pod and the template that refused it.
pub(super) struct Refused<'s> {
    pub(super) template: &'s Template,
    pub(super) options: &'s BitSet,
    /// What a new claim of the template starts with.
    pub(super) set: SetId,
    pub(super) variant: &'s Variant,
    pub(super) requests: &'s ResourceVec,
    pub(super) demand: &'s Demand,
}

/// The text.
pub(super) fn describe(
    memory: &mut Memory,
    view: &ClusterView<'_>,
    refused: &Refused<'_>,
    refusal: &Refusal,
) -> String {
    let Refused { template, variant, .. } = refused;
    let symbols = view.symbols;
    let pool = symbols.text(template.spec.name.symbol);
    match refusal {
        Refusal::Taint => {
            let taints = &template.spec.template.taints;
            let taint = taint::first_untolerated(taints, &variant.wishes.tolerations);
            let taint = taint.map(|taint| taint.describe(symbols)).unwrap_or_default();
            format!("did not tolerate taint (taint={taint})")
        }
        Refusal::Requirements(_) => {
            let (have, want) =
                (memory.sets.get(refused.set), memory.sets.get(variant.requirements));
            let conflict = have.conflict(want, AllowUndefined::WellKnown);
            let conflict =
                conflict.map(|conflict| have.describe_conflict(want, &conflict, symbols));
            format!("incompatible requirements, {}", conflict.unwrap_or_default())
        }
        Refusal::Volumes => format!("incompatible volume requirements (NodePool={pool})"),
        Refusal::Topology(_, base) => {
            let Memory { sets, topology, .. } = memory;
            let strict = sets.get(variant.strict).clone();
            topology.describe(view, sets, refused.demand, &strict, *base)
        }
        Refusal::MinValues(set) => {
            let requirements = memory.sets.get(*set);
            let unmet = min_values::unmet(&template.types, refused.options.iter(), requirements);
            let unmet = unmet.unwrap_or_default();
            let keys: Vec<&str> = unmet.iter().map(|(key, _)| symbols.text(*key)).collect();
            let keys = keys.join(" ");
            format!("minValues requirement is not met for label(s) (label(s)=[{keys}])")
        }
        Refusal::Types { set, .. } => types(refused, memory.sets.get(*set)),
        Refusal::Reserved(error) => error.text().to_owned(),
        Refusal::NodeLimit => {
            format!("node limits have been exhausted for nodepool (NodePool={pool})")
        }
        Refusal::Limits => {
            format!("all available instance types exceed limits for nodepool (NodePool={pool})")
        }
    }
}

/// Looks at every option again to say which tests failed.
fn types(refused: &Refused<'_>, requirements: &Requirements) -> String {
    let Refused { template, options, requests, .. } = refused;
    let (mut requirement, mut fit, mut offering) = (false, false, false);
    let mut pair = Pair::default();
    let overhead = template.groups.first().map(|g| g.overhead.clone()).unwrap_or_default();
    let resources = requests.plus(&overhead);
    for group in &template.groups {
        let need = requests.plus(&group.overhead);
        for i in options.iter().filter(|i| group.types.contains(*i)) {
            let it = &template.types[i];
            let compatible = it.requirements.intersects(requirements);
            let offered =
                it.offerings.iter().any(|o| o.available && o.compatible_with(requirements));
            // Upstream establishes a fit only for a group of offerings with a compatible one.
            let fits = offered && need.fits(&it.allocatable);
            requirement |= compatible;
            fit |= fits;
            offering |= offered;
            pair.fit_and_offering |= fits && offered && !compatible;
            pair.requirement_and_offering |= compatible && offered && !fits;
        }
    }
    let text = types_text(requirement, fit, offering, pair);
    format!("{text}, resources={resources}")
}

/// Whether some single instance type passed two of the three tests.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    fit_and_offering: bool,
    requirement_and_offering: bool,
}

fn types_text(requirement: bool, fit: bool, offering: bool, pair: Pair) -> &'static str {
    match (requirement, fit, offering) {
        (false, false, false) => {
            "no instance type met the scheduling requirements or had enough resources or had a \
             required offering"
        }
        (false, false, true) => {
            "no instance type met the scheduling requirements or had enough resources"
        }
        (true, false, false) => "no instance type had enough resources or had a required offering",
        (false, true, _) => "no instance type met all requirements",
        (true, false, true) => "no instance type has enough resources",
        (true, true, _) if pair.fit_and_offering => {
            "no instance type which had enough resources and the required offering met the \
             scheduling requirements"
        }
        (true, true, _) if pair.requirement_and_offering => {
            "no instance type which met the scheduling requirements and the required offering had \
             the required resources"
        }
        (true, true, _) => "no instance type met the requirements/resources/offering tuple",
    }
}
