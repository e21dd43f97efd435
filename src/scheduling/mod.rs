//! The provisioner core (layer 4): packs pods into existing nodes and new NodeClaims. Pure.
//!
//! Provisioning, every consolidation what-if and drift replacement call the same [`solve`]; nothing else in the program
//! packs pods into nodes for Karpenter.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/`. Candidates are scanned in order and the
//! first that accepts wins, which equals upstream's parallel evaluation (lowest index wins).

use crate::kube::Requirements;
use crate::kube::requirement::Requirement;
use crate::kube::{label, requirement::Operator};
use crate::units::{ResourceVec, Symbols};
use crate::world::{ClaimId, ClusterView, PodId, PoolIndex};

mod bound;
mod census;
mod claim;
mod claim_order;
mod core;
mod domain;
mod existing;
mod explain;
pub mod go_sort;
mod ground;
pub mod min_values;
pub(crate) mod plain;
pub mod price;
mod recipe;
mod refusal;
mod requirement_set;
mod reservation;
mod solve;
mod template;
mod topology;
mod topology_group;
mod type_filter;
pub mod validation;
mod variant;
mod volume;

pub use bound::Classes;
pub use core::Core;
pub use ground::Ground;
pub use refusal::{Refusals, refusals};
pub use solve::{solve, solve_on};
pub use template::{Templates, bare_claim};

/// What a Solve is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A batch of the provisioner: reserved capacity must be used while there is some, so that pods may have to wait.
    Provision,
    /// The what-if of a drifted node.
    Replacement,
    /// A what-if of consolidation: nodes within consolidateAfter take no pods that could stay where they are.
    Consolidation,
}

/// What a Solve decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Solution {
    /// Pods on existing nodes, in the order in which the nodes are tried.
    pub existing: Vec<ExistingPlacement>,
    /// NodeClaims to be created.
    pub claims: Vec<ClaimPlan>,
    /// Pods without a place, in queue order, with Karpenter's text.
    pub unplaced: Vec<(PodId, String)>,
    /// Pods that wait for reserved capacity, in queue order, with Karpenter's text: they are tried again in a later
    /// batch, without an event.
    pub deferred: Vec<(PodId, String)>,
    /// All pods in queue order.
    pub queue: Vec<PodId>,
    /// The Solve stopped because it leads to no command that saves: the rest is missing.
    pub given_up: bool,
}

/// Pods that an existing node takes.
#[derive(Clone, Debug, PartialEq)]
pub struct ExistingPlacement {
    /// The node.
    pub claim: ClaimId,
    /// Initialized at the time of the Solve.
    pub initialized: bool,
    /// The pods.
    pub pods: Vec<PodId>,
}

/// A NodeClaim as planned.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimPlan {
    /// The NodePool.
    pub pool: PoolIndex,
    /// Requirements, without those that only exist while solving.
    pub requirements: Requirements,
    /// Instance types, cheapest first, as positions in the pool's list.
    pub types: Vec<u32>,
    /// Requests of pods and DaemonSets.
    pub requests: ResourceVec,
    /// The pods.
    pub pods: Vec<PodId>,
    /// minValues were lowered: `karpenter.sh/nodeclaim-min-values-relaxed`.
    pub min_values_relaxed: bool,
}

impl Solution {
    /// Pods that are placed nowhere although they ran before.
    pub fn unplaced_running(&self, view: &ClusterView<'_>) -> bool {
        self.unplaced.iter().any(|(pod, _)| view.cluster.pods[*pod].node.is_some())
    }
}

impl ClaimPlan {
    /// Fixes the capacity types: those that the plan's types are on offer in (karpenter v1.14.1 `ToNodeClaim`). The
    /// caller cuts the types before.
    pub fn pin_capacity_types(&mut self, view: &ClusterView<'_>) {
        let types = &view.cluster.pools[self.pool].types;
        let found = price::capacity_types(&self.types, types, &self.requirements);
        let values = found.iter().filter_map(|ct| view.symbols.find(ct.name()));
        let values: Vec<_> = values.map(|symbol| view.symbols.value(symbol)).collect();
        if !values.is_empty() {
            self.requirements.add(label::CAPACITY_TYPE, Requirement::new(Operator::In, values));
        }
    }
}

/// The interned values that a Solve looks up by text; interned up front because a Solve cannot write.
pub fn intern_fixed_values(symbols: &mut Symbols) {
    for text in ["", "true", "reserved", "spot", "on-demand", template::PLACEHOLDER] {
        symbols.intern(text);
    }
}
