//! What pods want of topology: the groups that they are in, made once for pods with equal wishes.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/topology.go`.

use std::sync::Arc;

use super::topology::{Topology, identity_of, term_identity};
use super::topology_group::{Count, GroupKind, Identity, NodeFilter};
use super::variant::Wishes;
use crate::kube::PodClass;
use crate::kube::requirement::Requirements;
use crate::kube::taint::Toleration;
use crate::kube::topology::SpreadConstraint;
use crate::world::ClusterView;

/// What pods want of topology at one level of relaxation.
#[derive(Clone, Debug, Default)]
pub(super) struct Recipe {
    pub(super) audience: usize,
    pub(super) inverse: Vec<Ingredient>,
    pub(super) owned: Vec<Ingredient>,
}

/// One group that pods want.
#[derive(Clone, Debug)]
pub(super) struct Ingredient {
    pub(super) identity: usize,
    pub(super) tally: Option<usize>,
    pub(super) min_domains: Option<i32>,
    /// Domains that new nodes may have and the pods could reach. Groups of affinity terms have no policy, which counts
    /// as honouring taints.
    pub(super) reachable: Vec<usize>,
}

impl Topology {
    /// What pods with such wishes want of topology.
    pub(super) fn recipe(
        &mut self,
        view: &ClusterView<'_>,
        class: &Arc<PodClass>,
        wishes: &Wishes,
        ignore_soft: bool,
    ) -> Recipe {
        let mut recipe = Recipe { audience: self.audience(class), ..Recipe::default() };
        let required = &class.pod_anti_affinity.required;
        for term in required {
            let identity = term_identity(view, GroupKind::AntiAffinity, class, term);
            recipe.inverse.push(self.ingredient(identity, &wishes.tolerations, false));
        }
        let filter_terms = filter_terms(wishes);
        for constraint in wishes.spread.iter().filter(|c| c.hard || !ignore_soft) {
            recipe.owned.push(self.spread(view, class, constraint, &filter_terms, wishes));
        }
        let affinity = (GroupKind::Affinity, &class.pod_affinity.required, &wishes.pod_affinity);
        let anti = (GroupKind::AntiAffinity, required, &wishes.pod_anti_affinity);
        for (kind, required, preferred) in [affinity, anti] {
            let preferred = preferred.iter().map(|(_, term)| term).filter(|_| !ignore_soft);
            for term in required.iter().chain(preferred) {
                let identity = term_identity(view, kind, class, term);
                let mut wanted = self.ingredient(identity, &wishes.tolerations, false);
                wanted.tally = Some(self.tally(view, wanted.identity, None));
                recipe.owned.push(wanted);
            }
        }
        recipe
    }

    fn ingredient(
        &mut self,
        identity: Identity,
        tolerations: &[Toleration],
        all: bool,
    ) -> Ingredient {
        let key = self.keys.position(&self.sources, identity.key);
        let reachable = self.keys.reachable(key, tolerations, all);
        let identity = identity_of(&mut self.identities, &mut self.identity_ids, identity);
        Ingredient { identity, tally: None, min_domains: None, reachable }
    }

    fn tally(
        &mut self,
        view: &ClusterView<'_>,
        identity: usize,
        filter: Option<NodeFilter>,
    ) -> usize {
        let Identity { key, namespaces, selector, .. } = self.identities[identity].details.clone();
        let position = self.keys.position(&self.sources, key);
        let count = Count { key, namespaces, selector, filter };
        self.count_nodes(view);
        self.census.tally(view.symbols, &mut self.keys, count, position)
    }

    fn spread(
        &mut self,
        view: &ClusterView<'_>,
        class: &PodClass,
        constraint: &SpreadConstraint,
        terms: &[Requirements],
        wishes: &Wishes,
    ) -> Ingredient {
        use crate::kube::topology::InclusionPolicy::Ignore;
        let filter = NodeFilter {
            terms: terms.to_vec(),
            tolerations: wishes.tolerations.clone(),
            affinity: constraint.node_affinity,
            taints: constraint.node_taints,
        };
        let identity = Identity {
            kind: GroupKind::Spread,
            key: constraint.key,
            max_skew: constraint.max_skew,
            namespaces: vec![class.namespace.clone()],
            selector: constraint.selector.clone(),
            filter: Some(filter.identity()),
        };
        let all = filter.taints == Ignore;
        let mut wanted = self.ingredient(identity, &wishes.tolerations, all);
        wanted.tally = Some(self.tally(view, wanted.identity, Some(filter)));
        wanted.min_domains = constraint.min_domains;
        wanted
    }
}

/// Node selector and each required term, for the node filters of a pod's spread constraints.
fn filter_terms(wishes: &Wishes) -> Vec<Requirements> {
    let affinity = &wishes.node_affinity;
    if affinity.required.is_empty() {
        return vec![affinity.selector.clone()];
    }
    let terms = affinity.required.iter().map(|term| {
        let mut both = affinity.selector.clone();
        both.add_all(term);
        both
    });
    terms.collect()
}
