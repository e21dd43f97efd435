//! Pods during one Solve, by what they want: what is equal for many pods is computed once.
//!
//! A *variant* is everything that a pod wants but its requests, at one level of relaxation; a *kind* is a variant with
//! requests. Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/preferences.go`. A pod that failed
//! relaxes one step and tries again; which step depends on its specification alone, so that the ladder belongs to the
//! variant.

use std::cmp::Reverse;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

use super::plain;
use super::recipe::Recipe;
use super::requirement_set::{RequirementSets, SetId};
use super::template::prefer_no_schedule_toleration;
use super::topology::{Rules, Topology};
use crate::kube::pod::NodeAffinity;
use crate::kube::taint::Toleration;
use crate::kube::topology::{PodAffinityTerm, SpreadConstraint};
use crate::kube::{PodClass, Requirements};
use crate::units::{BitSet, LabelValue, ResourceVec, SimTime};
use crate::world::ClusterView;

/// What relaxation changes.
#[derive(Clone, Debug)]
pub(super) struct Wishes {
    pub(super) node_affinity: NodeAffinity,
    pub(super) spread: Vec<SpreadConstraint>,
    pub(super) pod_affinity: Vec<(i32, PodAffinityTerm)>,
    pub(super) pod_anti_affinity: Vec<(i32, PodAffinityTerm)>,
    pub(super) tolerations: Vec<Toleration>,
}

impl Wishes {
    fn of(class: &PodClass) -> Wishes {
        Wishes {
            node_affinity: class.node_affinity.clone(),
            spread: class.spread.clone(),
            pod_affinity: class.pod_affinity.preferred.clone(),
            pod_anti_affinity: class.pod_anti_affinity.preferred.clone(),
            tolerations: class.tolerations.clone(),
        }
    }

    /// One step, the first that applies; `None` when nothing is left to give up.
    fn relaxed(&self, prefer_no_schedule: Option<LabelValue>) -> Option<Wishes> {
        let mut wishes = self.clone();
        if wishes.node_affinity.required.len() > 1 {
            wishes.node_affinity.required.remove(0);
        } else if drop_heaviest(&mut wishes.pod_affinity)
            || drop_heaviest(&mut wishes.pod_anti_affinity)
            || drop_heaviest(&mut wishes.node_affinity.preferred)
        {
        } else if let Some(soft) = wishes.spread.iter().position(|constraint| !constraint.hard) {
            // The last constraint takes its place.
            wishes.spread.swap_remove(soft);
        } else {
            let toleration = prefer_no_schedule_toleration(prefer_no_schedule?);
            if wishes.tolerations.contains(&toleration) {
                return None;
            }
            wishes.tolerations.push(toleration);
        }
        Some(wishes)
    }

    /// Node selector, then the heaviest preferred term as if it were required, then the first required term.
    fn requirements(&self, with_preference: bool) -> Requirements {
        let mut requirements = self.node_affinity.selector.clone();
        let preferred = &self.node_affinity.preferred;
        // The first of equals.
        let heaviest = preferred.iter().rev().max_by_key(|(weight, _)| *weight);
        if let Some((_, heaviest)) = heaviest.filter(|_| with_preference) {
            requirements.add_all(heaviest);
        }
        if let Some(first) = self.node_affinity.required.first() {
            requirements.add_all(first);
        }
        requirements
    }
}

/// Drops the heaviest term, the first of equals; the others are sorted by weight from then on.
fn drop_heaviest<T>(terms: &mut Vec<(i32, T)>) -> bool {
    terms.sort_by_key(|(weight, _)| Reverse(*weight));
    if terms.is_empty() {
        return false;
    }
    terms.remove(0);
    true
}

/// One level of relaxation.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// A pod class of the kind.
    pub(super) class: Arc<PodClass>,
    pub(super) wishes: Wishes,
    /// With the heaviest preference, unless preferences are ignored.
    pub(super) requirements: SetId,
    /// Without preferences.
    pub(super) strict: SetId,
    recipe: Recipe,
    /// It gives up nothing.
    pub(super) is_last: bool,
    next: Next,
    /// The Solve that the rest belongs to.
    solve: u64,
    pub(super) rules: Rules,
    /// Claims that will refuse the variant for ever.
    pub(super) refused: BitSet,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Unknown,
    Nothing,
    Variant(usize),
}

/// A variant with requests.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) variant: usize,
    pub(super) requests: ResourceVec,
    request: usize,
    /// Nodes, by position, that refuse such pods as they stand, and with more pods on them too.
    pub(super) shut: BitSet,
    /// All nodes before this position do.
    pub(super) first: usize,
    /// The position of a node that takes such a pod as it stands, if one was found.
    pub(super) home: Option<usize>,
    /// The Solve that the rest belongs to.
    solve: u64,
    /// Claims, among the first `seen`, that may still accept such pods: the others will refuse them for ever.
    pub(super) open: BitSet,
    pub(super) open_count: usize,
    seen: usize,
    /// Nodes that will refuse such pods for ever, by position.
    pub(super) refused_nodes: BitSet,
    /// The Solve's version at which such a pod last failed, and why; by exemption.
    pub(super) failed: [Option<(u64, Arc<str>)>; 2],
}

impl Variant {
    /// A claim will refuse the variant for ever.
    pub(super) fn refuse(&mut self, claim: usize) {
        self.refused.grow(claim + 1);
        self.refused.insert(claim);
    }
}

impl Kind {
    /// The nodes from a position on may be others.
    fn look_again(&mut self, position: usize) {
        self.first = self.first.min(position);
        self.home = self.home.filter(|home| *home < position);
    }

    /// Claims that were made since the last look are open.
    pub(super) fn open_to(&mut self, claims: usize) {
        if self.seen < claims {
            self.open.grow(claims);
            (self.seen..claims).for_each(|claim| self.open.insert(claim));
            self.open_count += claims - self.seen;
            self.seen = claims;
        }
    }

    /// A claim will refuse such pods for ever.
    pub(super) fn close(&mut self, claim: usize) {
        self.open.remove(claim);
        self.open_count -= 1;
    }
}

/// All variants and kinds seen so far. Levels of relaxation are made when they are first needed.
#[derive(Clone, Debug, Default)]
pub(super) struct Variants {
    pub(super) list: Vec<Variant>,
    pub(super) kinds: Vec<Kind>,
    shapes: FxHashMap<u64, SmallVec<[usize; 1]>>,
    requests: FxHashMap<ResourceVec, usize>,
    /// By address; the classes are kept beside, so that no other one comes to lie there.
    by_class: FxHashMap<usize, (Arc<PodClass>, usize)>,
    by_parts: FxHashMap<(usize, usize), usize>,
    tolerate_prefer_no_schedule: Option<LabelValue>,
    ignore_preferences: bool,
    solve: u64,
    /// Nodes that may take pods.
    nodes: usize,
}

impl Variants {
    /// `empty` is the interned empty text when some template has a PreferNoSchedule taint.
    /// With `ignore_preferences` preferred terms never count.
    pub(super) fn new(empty: Option<LabelValue>, ignore_preferences: bool) -> Variants {
        Variants { tolerate_prefer_no_schedule: empty, ignore_preferences, ..Variants::default() }
    }

    /// A Solve begins, with so many nodes.
    pub(super) fn begin(&mut self, nodes: usize) {
        self.solve += 1;
        self.nodes = nodes;
    }

    /// Kinds and classes seen so far.
    pub(super) fn size(&self) -> usize {
        self.kinds.len() + self.by_class.len()
    }

    /// A node came to a position.
    pub(super) fn insert_node(&mut self, position: usize) {
        self.nodes += 1;
        for kind in &mut self.kinds {
            kind.shut.insert_at(position);
            kind.look_again(position);
        }
    }

    /// The node at a position went.
    pub(super) fn remove_node(&mut self, position: usize) {
        self.nodes -= 1;
        for kind in &mut self.kinds {
            kind.shut.remove_at(position);
            kind.look_again(position);
        }
    }

    /// The node at a position changed.
    pub(super) fn change_node(&mut self, position: usize) {
        for kind in &mut self.kinds {
            kind.shut.remove(position);
            kind.look_again(position);
        }
    }

    /// The unrelaxed kind of a class, registered for the present Solve.
    pub(super) fn first(
        &mut self,
        view: &ClusterView<'_>,
        class: &Arc<PodClass>,
        sets: &mut RequirementSets,
        topology: &mut Topology,
    ) -> usize {
        let kind = self.find(view, class, sets, topology);
        self.register(view, kind, topology);
        kind
    }

    /// The unrelaxed kind of a class.
    pub(super) fn find(
        &mut self,
        view: &ClusterView<'_>,
        class: &Arc<PodClass>,
        sets: &mut RequirementSets,
        topology: &mut Topology,
    ) -> usize {
        let address = Arc::as_ptr(class) as usize;
        if let Some((_, kind)) = self.by_class.get(&address).filter(|_| !plain::is_on()) {
            return *kind;
        }
        let mut hasher = FxHasher::default();
        hash_shape(class, &mut hasher);
        let hash = hasher.finish();
        let same = self.shapes.get(&hash).into_iter().flatten().filter(|_| !plain::is_on());
        let known = same.copied().find(|variant| same_shape(&self.list[*variant].class, class));
        let variant = known.unwrap_or_else(|| {
            let variant = self.push(view, class.clone(), Wishes::of(class), sets, topology);
            self.shapes.entry(hash).or_default().push(variant);
            variant
        });
        let next = self.requests.len();
        let request = *self.requests.entry(class.requests.clone()).or_insert(next);
        let kind = self.kind(variant, request, &class.requests);
        self.by_class.insert(address, (class.clone(), kind));
        kind
    }

    fn kind(&mut self, variant: usize, request: usize, requests: &ResourceVec) -> usize {
        let next = self.kinds.len();
        let kind = *self.by_parts.entry((variant, request)).or_insert(next);
        if kind == next {
            self.kinds.push(Kind {
                variant,
                requests: requests.clone(),
                request,
                shut: BitSet::empty(self.nodes),
                first: 0,
                home: None,
                solve: 0,
                open: BitSet::default(),
                open_count: 0,
                seen: 0,
                refused_nodes: BitSet::default(),
                failed: [None, None],
            });
        }
        kind
    }

    /// Readies a kind and its variant for the present Solve.
    fn register(&mut self, view: &ClusterView<'_>, kind: usize, topology: &mut Topology) {
        let kind = &mut self.kinds[kind];
        if kind.solve == self.solve {
            return;
        }
        kind.solve = self.solve;
        kind.open = BitSet::default();
        (kind.open_count, kind.seen) = (0, 0);
        kind.refused_nodes.clone_from(&kind.shut);
        kind.failed = [None, None];
        let variant = &mut self.list[kind.variant];
        if variant.solve != self.solve {
            variant.solve = self.solve;
            variant.refused = BitSet::default();
            variant.rules = topology.open(view, &variant.recipe);
        }
    }

    /// The kind one step more relaxed, if a preference or an alternative is left.
    pub(super) fn relax(
        &mut self,
        view: &ClusterView<'_>,
        kind: usize,
        sets: &mut RequirementSets,
        topology: &mut Topology,
    ) -> Option<usize> {
        let Kind { variant, request, requests, .. } = &self.kinds[kind];
        let (variant, request, requests) = (*variant, *request, requests.clone());
        let relaxed = match self.list[variant].next {
            Next::Variant(next) => next,
            Next::Nothing => return None,
            Next::Unknown => {
                let relaxed = self.list[variant].wishes.relaxed(self.tolerate_prefer_no_schedule);
                let Some(wishes) = relaxed else {
                    self.list[variant].next = Next::Nothing;
                    return None;
                };
                let class = self.list[variant].class.clone();
                let next = self.push(view, class, wishes, sets, topology);
                self.list[variant].next = Next::Variant(next);
                next
            }
        };
        let kind = self.kind(relaxed, request, &requests);
        self.register(view, kind, topology);
        Some(kind)
    }

    fn push(
        &mut self,
        view: &ClusterView<'_>,
        class: Arc<PodClass>,
        wishes: Wishes,
        sets: &mut RequirementSets,
        topology: &mut Topology,
    ) -> usize {
        let strict = sets.intern(wishes.requirements(false));
        let requirements = match self.ignore_preferences {
            true => strict,
            false => sets.intern(wishes.requirements(true)),
        };
        let recipe = topology.recipe(view, &class, &wishes, self.ignore_preferences);
        let (next, refused, rules) = (Next::Unknown, BitSet::default(), Rules::default());
        let solve = 0;
        let is_last = wishes.relaxed(self.tolerate_prefer_no_schedule).is_none();
        self.list.push(Variant {
            is_last,
            class,
            wishes,
            requirements,
            strict,
            recipe,
            next,
            solve,
            rules,
            refused,
        });
        self.list.len() - 1
    }
}

/// All that a variant is made of. Pods with ephemeral volumes have claims of their own; these are looked up by pod.
fn same_shape(a: &PodClass, b: &PodClass) -> bool {
    a.namespace == b.namespace
        && a.labels == b.labels
        && a.node_affinity == b.node_affinity
        && a.tolerations == b.tolerations
        && a.spread == b.spread
        && a.pod_affinity == b.pod_affinity
        && a.pod_anti_affinity == b.pod_anti_affinity
        && a.host_ports == b.host_ports
        && a.volumes == b.volumes
}

fn hash_shape(class: &PodClass, hasher: &mut FxHasher) {
    class.namespace.hash(hasher);
    class.labels.hash(hasher);
    class.node_affinity.hash(hasher);
    class.tolerations.hash(hasher);
    class.spread.hash(hasher);
    class.pod_affinity.hash(hasher);
    class.pod_anti_affinity.hash(hasher);
    class.host_ports.hash(hasher);
    class.volumes.hash(hasher);
}

/// Queue position of a pod: CPU, then memory, both descending, then creation second, then UID.
pub(super) fn queue_key(class: &PodClass, created_at: SimTime, uid: u64) -> (i64, i64, i64, u64) {
    use crate::units::Lane::{Cpu, Memory};
    let requests = &class.requests;
    (-requests.lane(Cpu), -requests.lane(Memory), created_at.floor_to_second().ms(), uid)
}
