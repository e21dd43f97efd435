//! The ground that Solves stand on: what they would otherwise derive from the cluster anew each time. Kept from one
//! Solve to the next, and brought up to date with what was written in between.
//!
//! A memo and nothing else: a Solve on a kept ground decides as one on a new ground. Upstream copies the cluster for
//! every what-if instead (karpenter v1.14.1 `pkg/controllers/disruption/helpers.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bound::Room;
use super::claim::Memory;
use super::existing::ExistingNode;
use super::requirement_set::{RequirementSets, SetId};
use super::reservation::Reservations;
use super::topology::Topology;
use super::type_filter::{LaunchOrders, TypeMasks};
use super::variant::Variants;
use super::{Purpose, Templates};
use crate::kube::Labels;
use crate::units::{LabelValue, ResourceVec};
use crate::world::{ClusterView, Lineup, PodId, Seen};

/// So much may be remembered per node and beyond that, gone nodes, pods and sets included, before all is made anew.
const PER_NODE: usize = 2;
const SLACK: usize = 1_024;
/// Where all had to be made anew before so many refreshes were over, twice as much may be remembered from then on: a
/// cluster of many kinds of pods needs it.
const FEW_REFRESHES: u32 = 1_000;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Ground {
    pub(super) memory: Memory,
    pub(super) variants: Variants,
    /// The set that new claims of each template start with.
    pub(super) template_sets: Vec<SetId>,
    /// Nodes that may take pods, by slot of the claim, in the order of first fit.
    pub(super) nodes: Lineup<ExistingNode>,
    /// What the nodes of each NodePool use of its limits.
    usage: Vec<ResourceVec>,
    /// The host of nodes whose name no label holds.
    nameless: Option<LabelValue>,
    namespaces: BTreeMap<Arc<str>, Labels>,
    seen: Seen,
    /// What may be remembered beyond what the nodes need.
    slack: usize,
    /// Refreshes since all was made anew.
    refreshes: u32,
    /// Places of nodes that are taken away in the present Solve.
    removed: Vec<u32>,
    /// The reason of what-ifs that fail, where nobody asks for Karpenter's.
    pub(super) no_text: Option<Arc<str>>,
    pub(super) room: Room,
}

impl Ground {
    /// The ground of a cluster; nodes that `view` takes away included.
    pub fn new(view: &ClusterView<'_>, templates: &Templates) -> Ground {
        let mut ground = Ground::empty(view, templates);
        let cluster = view.cluster;
        let all = view.without(&[]);
        for id in cluster.nodes_by_name.values() {
            ground.memory.topology.refresh_node(id.slot());
        }
        for (id, _) in all.active_state_nodes() {
            ground.refresh_claim(&all, id.slot());
        }
        ground
    }

    fn empty(view: &ClusterView<'_>, templates: &Templates) -> Ground {
        let empty = view.symbols.find("").map(|symbol| view.symbols.value(symbol));
        let prefer = empty.filter(|_| templates.tolerate_prefer_no_schedule);
        let mut sets = RequirementSets::default();
        let list = templates.list.iter();
        Ground {
            template_sets: list
                .map(|template| sets.intern(template.requirements.clone()))
                .collect(),
            memory: Memory {
                sets,
                topology: Topology::new(view, &templates.sources),
                masks: TypeMasks::default(),
                launch_orders: LaunchOrders::default(),
                reservations: Reservations::default(),
                strict_reservations: false,
            },
            variants: Variants::new(prefer, view.settings.karpenter.ignore_preferences),
            nodes: Lineup::default(),
            usage: vec![ResourceVec::default(); view.cluster.pools.len()],
            nameless: templates.placeholder.or(empty),
            namespaces: view.cluster.namespaces.clone(),
            seen: view.cluster.seen(),
            slack: SLACK,
            refreshes: 0,
            removed: Vec::new(),
            no_text: Some("".into()),
            room: Room::default(),
        }
    }

    /// Brings the ground up to date with a cluster whose templates are still the same.
    pub fn refresh(&mut self, view: &ClusterView<'_>, templates: &Templates) {
        let cluster = view.cluster;
        self.refreshes = self.refreshes.saturating_add(1);
        let is_oversized = self.is_oversized();
        // How many volumes a node can attach depends on more than the node.
        let is_stale = !cluster.storage.attach_limits.is_empty()
            || self.namespaces != cluster.namespaces
            || self.usage.len() != cluster.pools.len()
            || is_oversized;
        let changes = if is_stale { None } else { cluster.changes_since(self.seen) };
        let Some(changes) = changes else {
            let no_text = self.no_text.take();
            let is_too_small = is_oversized && self.refreshes < FEW_REFRESHES;
            let slack = if is_too_small { 2 * self.slack } else { self.slack };
            *self = Ground { no_text, slack, ..Ground::new(view, templates) };
            return;
        };
        self.seen = cluster.seen();
        changes.nodes.iter().for_each(|slot| self.memory.topology.refresh_node(*slot));
        changes.claims.iter().for_each(|slot| self.refresh_claim(view, *slot));
    }

    fn is_oversized(&self) -> bool {
        let Memory { sets, topology, masks, launch_orders, .. } = &self.memory;
        let kept = sets.len() + topology.size() + masks.len() + launch_orders.len();
        let kept = kept + self.variants.size();
        kept > PER_NODE * self.nodes.len() + self.slack
    }

    /// Looks at a claim again. Its node is counted already.
    fn refresh_claim(&mut self, view: &ClusterView<'_>, slot: u32) {
        let claim = view.cluster.claims.at(slot).filter(|(id, _)| view.is_active(*id));
        let old = self.nodes.place(slot);
        let new = claim.zip(self.nameless).map(|((id, _), nameless)| {
            let old = old.map(|place| &self.nodes[place]);
            ExistingNode::new(view, &mut self.memory, id, nameless, old)
        });
        if let Some(place) = old {
            self.charge(place, false);
            self.room.remove(place, &self.nodes[place]);
        }
        let place = match (old, new) {
            (Some(place), Some(new)) if self.nodes[place].ranks_with(&new) => {
                self.variants.change_node(self.nodes.position_of(place));
                self.nodes[place] = new;
                Some(place)
            }
            (_, new) => {
                if let Some(position) = self.nodes.remove(slot) {
                    self.variants.remove_node(position);
                }
                new.map(|new| {
                    let position = self.position(&new);
                    self.variants.insert_node(position);
                    self.nodes.insert(slot, position, new)
                })
            }
        };
        if let Some(place) = place {
            self.charge(place, true);
            self.room.add(place, &self.nodes[place]);
        }
    }

    /// Where a node would stand in the order of first fit.
    fn position(&self, node: &ExistingNode) -> usize {
        let rank = node.rank();
        self.nodes.position(|known| known.rank() < rank)
    }

    /// Counts a node in the usage of its NodePool, or no longer.
    fn charge(&mut self, place: u32, counts: bool) {
        let ExistingNode { pool, capacity, .. } = &self.nodes[place];
        if let Some((usage, capacity)) = self.usage.get_mut(*pool).zip(capacity.as_ref()) {
            match counts {
                true => usage.add(capacity),
                false => usage.subtract(capacity),
            }
        }
    }

    /// What the limits of each template's NodePool leave, without the nodes that are taken away.
    pub(super) fn remaining_limits(
        &self,
        view: &ClusterView<'_>,
        templates: &Templates,
    ) -> Vec<Option<ResourceVec>> {
        let remaining = templates.list.iter().map(|template| {
            let limits = view.cluster.pools[template.pool].spec.limits.as_ref()?;
            let mut usage = self.usage.get(template.pool)?.clone();
            let removed = self.removed.iter().map(|place| &self.nodes[*place]);
            for node in removed.filter(|node| node.pool == template.pool) {
                node.capacity.iter().for_each(|capacity| usage.subtract(capacity));
            }
            Some(limits.minus(&usage))
        });
        remaining.collect()
    }

    /// A Solve begins.
    pub(super) fn begin(&mut self, view: &ClusterView<'_>, pods: &[PodId], purpose: Purpose) {
        for claim in view.removed() {
            if let Some(place) = self.nodes.place(claim.slot()) {
                self.nodes[place].removed = true;
                self.removed.push(place);
            }
        }
        let exactly = purpose == Purpose::Provision;
        self.memory.topology.begin(view, view.removed(), pods, exactly);
        self.variants.begin(self.nodes.len());
    }

    /// The Solve is over: nothing is left of it.
    pub(super) fn end(&mut self) {
        for place in self.removed.drain(..) {
            self.nodes[place].removed = false;
        }
        self.memory.topology.end();
    }
}
