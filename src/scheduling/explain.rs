//! Why a pod was not placed, as structure during the Solve and as Karpenter's text afterwards.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/nodeclaim.go` (`InstanceTypeFilterError`).

use super::template::Template;
use crate::kube::requirement::{Conflict, Requirements};
use crate::kube::taint::Taint;
use crate::units::{BitSet, ResourceVec, Symbol, Symbols};

/// Why a claim or a template refused a pod.
#[derive(Clone, Debug)]
pub(super) enum Rejection {
    /// The same claim refused the same kind of pod before.
    Repeated,
    /// A taint of the NodePool is not tolerated.
    Taint(Taint),
    /// The pod's requirements do not go with the claim's.
    Requirements { have: Box<Requirements>, want: Box<Requirements>, conflict: Conflict },
    /// Too few values are left for keys with minValues.
    MinValues(Vec<Symbol>),
    /// No instance type is left.
    Types { requirement: bool, fit: bool, offering: bool, pair: Pair, resources: ResourceVec },
    /// The NodePool's limit on nodes is used up.
    NodeLimit,
    /// Every instance type would exceed the NodePool's limits.
    Limits,
}

/// Whether some single instance type passed two of the three tests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair {
    fit_and_offering: bool,
    requirement_and_offering: bool,
}

impl Rejection {
    /// Looks at every option again to say which tests failed.
    pub(super) fn types(
        options: &BitSet,
        requirements: &Requirements,
        requests: &ResourceVec,
        template: &Template,
    ) -> Rejection {
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
        Rejection::Types { requirement, fit, offering, pair, resources }
    }

    /// Karpenter's text.
    pub(super) fn describe(&self, pool: &str, symbols: &Symbols) -> String {
        match self {
            Rejection::Repeated => String::new(),
            Rejection::Taint(taint) => {
                format!("did not tolerate taint (taint={})", taint.describe(symbols))
            }
            Rejection::Requirements { have, want, conflict } => {
                let conflict = have.describe_conflict(want, conflict, symbols);
                format!("incompatible requirements, {conflict}")
            }
            Rejection::MinValues(keys) => {
                let keys: Vec<&str> = keys.iter().map(|key| symbols.text(*key)).collect();
                let keys = keys.join(" ");
                format!("minValues requirement is not met for label(s) (label(s)=[{keys}])")
            }
            Rejection::Types { requirement, fit, offering, pair, resources } => {
                let text = types_text(*requirement, *fit, *offering, *pair);
                format!("{text}, resources={resources}")
            }
            Rejection::NodeLimit => {
                format!("node limits have been exhausted for nodepool (NodePool={pool})")
            }
            Rejection::Limits => {
                format!("all available instance types exceed limits for nodepool (NodePool={pool})")
            }
        }
    }
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
