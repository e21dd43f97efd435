//! A restart of Karpenter's controller: what it kept in memory is lost, what stands in objects is not.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/state/cluster.go`, `pkg/controllers/disruption/queue.go`,
//! `pkg/controllers/nodepool/registrationhealth/controller.go`;
//! controller-runtime lists all objects anew at a start.
//!
//! DEVIATION: the new controller works at once, without the time that a rollout and the election of a leader take, and
//! a Create call under way returns to it; Karpenter makes the call again and later collects the first instance.

use std::collections::BTreeSet;

use super::cluster::{ClaimId, NodeId, PodId};
use super::{Wake, World};
use crate::units::SimTime;

impl World {
    /// Forgets what the controller knew, and hands it all objects as it finds them at its start.
    pub fn restart_controller(&mut self) {
        self.cluster.controller_started_at = self.now();
        self.forget_claims();
        self.forget_evictions();
        self.cluster.capacity.forget_all();
        self.refresh_offerings();
        // Prices are asked for at the start.
        self.learn_prices();
        self.restart_registration_health();
        // Set again by the next provisioning pass.
        self.set_buffer_hosts(BTreeSet::new());
        self.mark_unconsolidated();
        self.list_objects();
    }

    /// Nominations, marks of commands and back-offs.
    fn forget_claims(&mut self) {
        let ids: Vec<ClaimId> = self.cluster.claims_by_name.values().copied().collect();
        for id in ids {
            self.set_marked_for_deletion(id, false);
            self.set_in_command(id, false);
            let claim = &mut self.cluster.claims[id];
            claim.nominated_until = SimTime::ZERO;
            claim.lifecycle_not_before = SimTime::ZERO;
            claim.launch_errors = 0;
            claim.type_checked_at = None;
            claim.consistency_scanned_at = None;
        }
    }

    /// The eviction queue; drains fill it again.
    fn forget_evictions(&mut self) {
        let ids: Vec<PodId> = self.cluster.pods_by_ordinal.values().copied().collect();
        for id in ids {
            let pod = &mut self.cluster.pods[id];
            pod.in_eviction_queue = false;
            pod.eviction_attempts = 0;
            if let Some(timer) = pod.eviction_timer.take() {
                self.queue.cancel(timer);
            }
        }
    }

    /// Every controller looks at each of its objects. Pods that are bound count as bound anew.
    fn list_objects(&mut self) {
        let claims: Vec<ClaimId> = self.cluster.claims_by_name.values().copied().collect();
        for id in claims {
            self.wake(Wake::Lifecycle(id));
            self.wake(Wake::Conditions(id));
            self.wake(Wake::Expiration(id));
            self.wake(Wake::Consistency(id));
        }
        let nodes: Vec<NodeId> = self.cluster.nodes_by_name.values().copied().collect();
        for id in nodes {
            self.wake(Wake::Termination(id));
            self.wake(Wake::Health(id));
            self.wake(Wake::NodeTrigger(id));
        }
        let pods: Vec<PodId> = self.cluster.pods_by_ordinal.values().copied().collect();
        for id in pods {
            if self.cluster.pods[id].node.is_some() {
                self.schedule_pod_event(id);
            }
        }
        let pending: Vec<PodId> = self.view().provisionable_pods().collect();
        pending.into_iter().for_each(|id| self.wake(Wake::PodTrigger(id)));
        for index in (0..).take(self.cluster.capacity_buffers.len()) {
            self.wake(Wake::CapacityBuffer(index));
        }
        self.wake(Wake::StaticPools);
    }
}
