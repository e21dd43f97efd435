//! Entities as they begin: what is not known yet is empty, what has not happened yet is `None`.

use std::sync::Arc;

use smallvec::SmallVec;

use super::cluster::{Claim, ClaimId, Node, Owner, Pod, PoolIndex};
use crate::kube::{Labels, NodePool, PodClass, Requirements};
use crate::units::{ResourceVec, SimTime};

impl Claim {
    /// A NodeClaim of Karpenter's of which nothing but its origin is known.
    pub(super) fn new(
        ordinal: u64,
        name: Arc<str>,
        pool: PoolIndex,
        template: Arc<NodePool>,
        created_at: SimTime,
    ) -> Claim {
        Claim {
            ordinal,
            name,
            pool,
            managed: true,
            created_at,
            class_fields: "".into(),
            requirements: Requirements::default(),
            options: Vec::new(),
            requests: ResourceVec::default(),
            labels: Labels::default(),
            template,
            instance: None,
            node: None,
            registered_at: None,
            initialized_at: None,
            consolidatable: false,
            drifted: None,
            last_pod_event_at: None,
            deletion_at: None,
            deletion_cause: None,
            termination_at: None,
            marked_for_deletion: false,
            in_command: false,
            nominated_until: SimTime::ZERO,
            lifecycle_not_before: SimTime::ZERO,
            launching: false,
            type_checked_at: None,
            launch_errors: 0,
            consistency_scanned_at: None,
            consistent: false,
            lifecycle_timer: None,
            conditions_timer: None,
            expiration_timer: None,
            consistency_timer: None,
        }
    }
}

impl Node {
    /// An empty Node, not Ready.
    pub(super) fn new(name: Arc<str>, claim: ClaimId, created_at: SimTime) -> Node {
        Node {
            name,
            claim,
            created_at,
            labels: Labels::default(),
            taints: Vec::new(),
            allocatable: ResourceVec::default(),
            ready: false,
            conditions: Vec::new(),
            initializable: false,
            do_not_disrupt: false,
            pods: Vec::new(),
            used: ResourceVec::default(),
            daemon_used: ResourceVec::default(),
            nonzero_cpu_milli: 0,
            nonzero_memory_bytes: 0,
            deletion_at: None,
            drain_started_at: None,
            drained: false,
            attached_until: SimTime::ZERO,
            images: Vec::new(),
            pulls_end_at: created_at,
            health_timer: None,
            termination_timer: None,
            trigger_timer: None,
        }
    }
}

impl Pod {
    /// A pending pod that kube-scheduler has not looked at. UID and draws follow from its number.
    pub(super) fn new(
        ordinal: u64,
        name: Arc<str>,
        class: Arc<PodClass>,
        owner: Owner,
        created_at: SimTime,
    ) -> Pod {
        Pod {
            ordinal,
            uid: ordinal,
            name,
            do_not_disrupt: class.do_not_disrupt,
            class,
            owner,
            work: None,
            draws: ordinal,
            created_at,
            unschedulable: false,
            destination: None,
            node: None,
            bound_at: None,
            running_at: None,
            finished_at: None,
            deletion_at: None,
            budgets: SmallVec::new(),
            eviction_attempts: 0,
            in_eviction_queue: false,
            eviction_timer: None,
            kubelet_timer: None,
            lost: false,
            trigger_timer: None,
        }
    }
}
