//! What a pod asks of the places of other pods: spread constraints, pod affinity and anti-affinity.
//!
//! Upstream: kubernetes/api v0.35.1 `core/v1/types.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::label::Labels;
use super::selector::LabelSelector;
use crate::units::Symbol;

/// One entry of `topologySpreadConstraints`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpreadConstraint {
    /// `topologyKey`, as written: Karpenter does not normalise it.
    pub key: Symbol,
    /// `maxSkew`.
    pub max_skew: i32,
    /// `minDomains`.
    pub min_domains: Option<i32>,
    /// `whenUnsatisfiable: DoNotSchedule`.
    pub hard: bool,
    /// `labelSelector`, with the pod's own values of `matchLabelKeys` added.
    pub selector: Option<LabelSelector>,
    /// `nodeAffinityPolicy`; Honor when absent.
    pub node_affinity: InclusionPolicy,
    /// `nodeTaintsPolicy`; Ignore when absent.
    pub node_taints: InclusionPolicy,
}

/// Whether a property of the pod restricts the nodes that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InclusionPolicy {
    /// Only nodes that the pod could run on, as far as this property goes.
    Honor,
    /// All nodes.
    Ignore,
}

/// Pod affinity, or pod anti-affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodAffinity {
    /// `requiredDuringSchedulingIgnoredDuringExecution`.
    pub required: Vec<PodAffinityTerm>,
    /// `preferredDuringSchedulingIgnoredDuringExecution` with the weights, in the order of the manifest.
    pub preferred: Vec<(i32, PodAffinityTerm)>,
}

impl PodAffinity {
    /// True without terms.
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.preferred.is_empty()
    }
}

/// One term of a [`PodAffinity`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodAffinityTerm {
    /// `topologyKey`, as written.
    pub key: Symbol,
    /// `labelSelector`, with `matchLabelKeys` and `mismatchLabelKeys` merged in as the API server does.
    pub selector: Option<LabelSelector>,
    /// Where the other pods are looked for.
    pub namespaces: Namespaces,
}

/// The namespaces of a [`PodAffinityTerm`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespaces {
    /// `namespaces`.
    pub names: Vec<Arc<str>>,
    /// `namespaceSelector`.
    pub selector: Option<LabelSelector>,
}

impl Namespaces {
    /// The names meant, ascending and distinct, for a pod of namespace `own` among all `known` namespaces.
    pub fn resolve(&self, own: &Arc<str>, known: &BTreeMap<Arc<str>, Labels>) -> Vec<Arc<str>> {
        if self.names.is_empty() && self.selector.is_none() {
            return vec![own.clone()];
        }
        let mut names = self.names.clone();
        if let Some(selector) = &self.selector {
            let selected = known.iter().filter(|(_, labels)| selector.matches(labels));
            names.extend(selected.map(|(name, _)| name.clone()));
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `provisioning.md` 8.1: which namespaces an affinity term means.
    #[test]
    fn a_namespace_selector_replaces_the_own_namespace() {
        let own: Arc<str> = "own".into();
        let known: BTreeMap<Arc<str>, Labels> =
            ["a", "b", "own"].into_iter().map(|n| (n.into(), Labels::default())).collect();
        let named = |names: &[&str]| names.iter().map(|n| Arc::from(*n)).collect::<Vec<Arc<str>>>();
        let everything = Some(LabelSelector::default());
        for (names, selector, expected) in [
            (named(&[]), None, named(&["own"])),
            (named(&["z"]), None, named(&["z"])),
            (named(&["z"]), everything, named(&["a", "b", "own", "z"])),
        ] {
            assert_eq!(Namespaces { names, selector }.resolve(&own, &known), expected);
        }
    }
}
