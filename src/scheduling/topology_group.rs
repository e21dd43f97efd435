//! One topology group: how many pods that a selector matches are in each domain, and where that lets a pod go.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/topologygroup.go`, `topologynodefilter.go`.

use std::sync::Arc;

use smallvec::SmallVec;

use super::domain::{DomainSet, DomainTable};
use crate::kube::requirement::{AllowUndefined, Requirement};
use crate::kube::taint::{self, Taint, Toleration};
use crate::kube::topology::InclusionPolicy;
use crate::kube::{LabelSelector, Labels, Requirements};
use crate::units::Symbol;

/// What a group is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum GroupKind {
    Spread,
    Affinity,
    AntiAffinity,
}

impl GroupKind {
    /// As upstream's errors name it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            GroupKind::Spread => "topology spread",
            GroupKind::Affinity => "pod affinity",
            GroupKind::AntiAffinity => "pod anti-affinity",
        }
    }
}

/// What groups are told apart by. Pods with equal identities share a group; the first one's details count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) kind: GroupKind,
    pub(super) key: Symbol,
    pub(super) max_skew: i32,
    pub(super) namespaces: Vec<Arc<str>>,
    pub(super) selector: Option<LabelSelector>,
    pub(super) filter: Option<FilterIdentity>,
}

/// How running pods are counted: those of `namespaces` that `selector` matches, without one all, on nodes that `filter`
/// admits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Count {
    pub(super) key: Symbol,
    pub(super) namespaces: Vec<Arc<str>>,
    pub(super) selector: Option<LabelSelector>,
    pub(super) filter: Option<NodeFilter>,
}

impl Count {
    /// True iff a pod on such a node counts, as far as the node is concerned.
    pub(super) fn counts_node(&self, taints: &[Taint], requirements: &Requirements) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(taints, requirements))
    }
}

/// The part of a node filter that upstream's hash sees: of requirements only the keys, and equal entries cancel out in
/// pairs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FilterIdentity {
    terms: Vec<Vec<Symbol>>,
    tolerations: Vec<Toleration>,
    affinity: InclusionPolicy,
    taints: InclusionPolicy,
}

/// Which nodes count for a spread constraint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct NodeFilter {
    /// Node selector and each required term, ORed.
    pub(super) terms: Vec<Requirements>,
    pub(super) tolerations: Vec<Toleration>,
    pub(super) affinity: InclusionPolicy,
    pub(super) taints: InclusionPolicy,
}

impl Identity {
    /// True iff the selector and namespaces match a pod. No selector matches nothing.
    pub(super) fn selects(&self, namespace: &Arc<str>, labels: &Labels) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
            && self.namespaces.contains(namespace)
    }
}

impl NodeFilter {
    pub(super) fn identity(&self) -> FilterIdentity {
        FilterIdentity {
            terms: without_pairs(
                self.terms.iter().map(|term| term.iter().map(|(key, _)| key).collect()),
            ),
            tolerations: without_pairs(self.tolerations.iter().cloned()),
            affinity: self.affinity,
            taints: self.taints,
        }
    }

    /// True iff the node counts. Nothing may be undefined, not even on new claims.
    pub(super) fn matches(&self, taints: &[Taint], requirements: &Requirements) -> bool {
        let affine = self.affinity == InclusionPolicy::Ignore
            || self.terms.is_empty()
            || self.terms.iter().any(|term| {
                term.is_empty() || requirements.compatible(term, AllowUndefined::Nothing)
            });
        let tolerated = self.taints == InclusionPolicy::Ignore
            || taint::first_untolerated(taints, &self.tolerations).is_none();
        affine && tolerated
    }
}

/// The entries that occur an odd number of times, ascending.
fn without_pairs<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut sorted: Vec<T> = items.collect();
    sorted.sort_unstable();
    let mut odd: Vec<T> = Vec::new();
    for item in sorted {
        if odd.last() == Some(&item) {
            odd.pop();
        } else {
            odd.push(item);
        }
    }
    odd
}

/// A group. Domains are numbered by the table of its key.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Position among the identities seen.
    pub(super) identity: usize,
    /// How its pods are counted; `None` for inverse groups.
    pub(super) tally: Option<usize>,
    pub(super) kind: GroupKind,
    /// Position of the key among the keys in use.
    pub(super) key: usize,
    pub(super) max_skew: i32,
    pub(super) min_domains: Option<i32>,
    /// By domain; `None` for one that the group does not know.
    counts: Vec<Option<i32>>,
    /// Domains with pods.
    occupied: usize,
}

/// Where a group lets a pod go, as far as it does not depend on the node.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    /// The best one of these, by count, then by the order of ties.
    Best(DomainSet),
    /// Any of these.
    Any(DomainSet),
    /// The first one of these, in the order of ties: no pod is anywhere yet that the pod could join.
    First(DomainSet),
}

impl Group {
    /// A group that knows nothing yet. `counts` is an old list to be used again.
    pub(super) fn new(
        (identity, details): (usize, &Identity),
        key: usize,
        tally: Option<usize>,
        mut counts: Vec<Option<i32>>,
    ) -> Group {
        counts.clear();
        Group {
            identity,
            tally,
            kind: details.kind,
            key,
            max_skew: details.max_skew,
            min_domains: None,
            counts,
            occupied: 0,
        }
    }

    /// The list of counts, to be used again.
    pub(super) fn into_counts(self) -> Vec<Option<i32>> {
        self.counts
    }

    /// Starts with these pods by domain; `occupied` of the domains have some.
    pub(super) fn start(&mut self, counts: &[Option<i32>], occupied: usize) {
        self.counts.clear();
        self.counts.extend_from_slice(counts);
        self.occupied = occupied;
    }

    /// Fewer pods in a domain.
    pub(super) fn take(&mut self, domain: usize, pods: i32) {
        if let Some(Some(count)) = self.counts.get_mut(domain) {
            let before = *count;
            *count -= pods;
            self.occupied -= usize::from(before > 0 && *count <= 0);
        }
    }

    /// The group does not know a domain, which has no pods.
    pub(super) fn forget(&mut self, domain: usize) {
        if let Some(count) = self.counts.get_mut(domain) {
            *count = None;
        }
    }

    /// The group knows domains with pods alone.
    pub(super) fn forget_empty(&mut self) {
        let empty = self.counts.iter_mut().filter(|count| count.is_some_and(|count| count <= 0));
        empty.for_each(|count| *count = None);
    }

    /// The group learns of a domain.
    pub(super) fn register(&mut self, domain: usize) {
        self.slot(domain).get_or_insert(0);
    }

    /// More pods in a domain.
    pub(super) fn record(&mut self, domain: usize, pods: i32) {
        let slot = self.slot(domain);
        let before = slot.unwrap_or(0);
        *slot = Some(before + pods);
        self.occupied += usize::from(before == 0 && pods > 0);
    }

    fn slot(&mut self, domain: usize) -> &mut Option<i32> {
        if self.counts.len() <= domain {
            self.counts.resize(domain + 1, None);
        }
        &mut self.counts[domain]
    }

    /// Pods in a domain.
    pub(super) fn count(&self, domain: usize) -> i32 {
        self.counts.get(domain).copied().flatten().unwrap_or(0)
    }

    /// Known domains with their counts.
    pub(super) fn domains(&self) -> impl Iterator<Item = (usize, i32)> + '_ {
        self.counts.iter().enumerate().filter_map(|(domain, count)| Some((domain, (*count)?)))
    }

    /// Whether a pod may go to a host: for the hostname key, where every candidate is one domain and a new, empty one
    /// can always be made. `own` says that the group selects the pod, `wanted` what the pod demands of the key.
    pub(super) fn admits_host(
        &self,
        host: usize,
        own: bool,
        wanted_here: bool,
        any_wanted: impl FnOnce() -> bool,
    ) -> bool {
        let count = self.count(host);
        match self.kind {
            GroupKind::Spread => count + i32::from(own) <= self.max_skew,
            GroupKind::AntiAffinity => count == 0,
            GroupKind::Affinity => {
                wanted_here && (count > 0 || (own && (self.occupied == 0 || !any_wanted())))
            }
        }
    }

    /// True iff some domain with pods is one that the pod wants.
    pub(super) fn any_occupied(&self, table: &DomainTable, wanted: Option<&Requirement>) -> bool {
        match wanted {
            None => self.occupied > 0,
            Some(wanted) => self.domains().any(|(domain, count)| {
                count > 0 && table.value(domain).is_some_and(|value| wanted.has(value))
            }),
        }
    }

    /// Where the group lets a pod go, for keys other than the hostname.
    pub(super) fn choice(
        &self,
        table: &DomainTable,
        own: bool,
        wanted: Option<&Requirement>,
    ) -> Choice {
        let wants = |domain: usize| {
            wanted.is_none_or(|wanted| table.value(domain).is_some_and(|value| wanted.has(value)))
        };
        match self.kind {
            GroupKind::Spread => Choice::Best(self.within_skew(own, wants)),
            GroupKind::AntiAffinity => {
                let empty = self.domains().filter(|(d, count)| *count == 0 && wants(*d));
                Choice::Any(empty.map(|(domain, _)| domain).collect())
            }
            GroupKind::Affinity => {
                let wanted: SmallVec<[(usize, i32); 8]> =
                    self.domains().filter(|(domain, _)| wants(*domain)).collect();
                let occupied = wanted.iter().filter(|(_, count)| *count > 0);
                let occupied: DomainSet = occupied.map(|(domain, _)| *domain).collect();
                if own && occupied.is_empty() {
                    Choice::First(wanted.iter().map(|(domain, _)| *domain).collect())
                } else {
                    Choice::Any(occupied)
                }
            }
        }
    }

    /// Known domains that one more pod keeps within the skew. The minimum is taken over the domains that the pod wants.
    fn within_skew(&self, own: bool, wants: impl Fn(usize) -> bool) -> DomainSet {
        let (mut least, mut number) = (i64::from(i32::MAX), 0);
        for (_, count) in self.domains().filter(|(domain, _)| wants(*domain)) {
            least = least.min(count.into());
            number += 1;
        }
        if self.min_domains.is_some_and(|wanted| number < wanted) {
            least = 0;
        }
        let most = i64::from(self.max_skew) + least - i64::from(own);
        let valid = self.domains().filter(|(_, count)| i64::from(*count) <= most);
        valid.map(|(domain, _)| domain).collect()
    }
}
