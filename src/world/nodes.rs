//! Mutators of Nodes: creation, taints, readiness, deletion, removal.

use super::cluster::{ClaimId, Node, NodeId};
use super::event::Event;
use super::journal::Fact;
use super::{Wake, World};
use crate::engine::Purpose;
use crate::kube::label;
use crate::kube::taint::{Effect, Taint};
use crate::units::SimDuration;

/// Key of the taint that Karpenter puts on nodes it disrupts.
pub const DISRUPTED_TAINT: &str = "karpenter.sh/disrupted";
pub(super) const UNREGISTERED_TAINT: &str = "karpenter.sh/unregistered";
const UNREACHABLE_TAINT: &str = "node.kubernetes.io/unreachable";
const NOT_READY_TAINT: &str = "node.kubernetes.io/not-ready";

impl World {
    /// The kubelet creates its Node object, not ready and not yet registered with Karpenter.
    pub fn create_node(&mut self, id: ClaimId) {
        let now = self.now();
        let hostname = self.cluster.claims[id].name.clone();
        let hostname = self.symbols.intern_value(&hostname);
        let unregistered = self.taint(UNREGISTERED_TAINT, Effect::NoExecute);
        let not_ready = self.not_ready_taint();
        let claim = &self.cluster.claims[id];
        let Some(instance) = &claim.instance else {
            return;
        };
        let instance_type = instance.instance_type.get();
        let mut labels = claim.labels.clone();
        labels.set(label::HOSTNAME, hostname);
        let mut taints = vec![unregistered, not_ready];
        taints.extend(claim.template.template.taints.iter().cloned());
        taints.extend(claim.template.template.startup_taints.iter().cloned());
        let (name, ordinal) = (claim.name.clone(), claim.ordinal);
        let node = self.cluster.nodes.insert(Node {
            labels,
            taints,
            allocatable: instance_type.allocatable.clone(),
            ..Node::new(name.clone(), id, now)
        });
        self.cluster.nodes_by_name.insert(name, node);
        self.cluster.claims[id].node = Some(node);
        self.cluster.nodes_without_daemons.push(node);
        let fact = Fact::NodeCreated(self.cluster.claim_ref(id));
        self.record(fact);
        let ready = &self.settings.latency.ready;
        let delay = self.streams.sample(ready, Purpose::ReadyLatency, ordinal, 0).max(0);
        self.schedule(now + SimDuration::from_ms(delay), Event::NodeReady(node));
        self.wake(Wake::Workloads);
        self.wake(Wake::Lifecycle(id));
        self.notify_node(id);
    }

    pub(super) fn not_ready_taint(&mut self) -> Taint {
        self.taint(NOT_READY_TAINT, Effect::NoSchedule)
    }

    pub(super) fn unreachable_taint(&mut self) -> Taint {
        self.taint(UNREACHABLE_TAINT, Effect::NoSchedule)
    }

    pub(super) fn taint(&mut self, key: &str, effect: Effect) -> Taint {
        let key = self.symbols.intern_value(key);
        Taint { key, value: self.symbols.intern_value(""), effect }
    }

    /// The kubelet reports Ready: the not-ready taint goes and bound pods start.
    pub fn set_node_ready(&mut self, id: NodeId) {
        if self.is_kubelet_dead(id) {
            return;
        }
        let not_ready = self.not_ready_taint();
        let now = self.now();
        let Some(node) = self.cluster.nodes.get_mut(id) else {
            return;
        };
        node.ready = true;
        node.taints.retain(|taint| !taint.matches(&not_ready));
        let (claim, bound) = (node.claim, node.pods.clone());
        let ordinal = self.cluster.claims[claim].ordinal;
        let fact = Fact::NodeReady(self.cluster.claim_ref(claim));
        self.record(fact);
        for pod in bound {
            if self.cluster.pods[pod].is_active() {
                self.start_pod(pod, id);
            }
        }
        let initialized = &self.settings.latency.initialized;
        let delay = self.streams.sample(initialized, Purpose::InitLatency, ordinal, 0).max(0);
        if delay == 0 {
            self.set_node_initializable(id);
        } else {
            self.schedule(now + SimDuration::from_ms(delay), Event::NodeInitializable(id));
        }
        self.wake(Wake::Workloads);
        self.wake(Wake::Scheduler);
        self.wake(Wake::Lifecycle(claim));
        self.notify_node(claim);
    }

    /// Startup taints are gone and extended resources registered.
    pub fn set_node_initializable(&mut self, id: NodeId) {
        if self.is_kubelet_dead(id) {
            return;
        }
        let Some(node) = self.cluster.nodes.get_mut(id) else {
            return;
        };
        node.initializable = true;
        let claim = node.claim;
        let template = self.cluster.claims[claim].template.clone();
        let node = &mut self.cluster.nodes[id];
        let startup = &template.template.startup_taints;
        node.taints.retain(|taint| !startup.iter().any(|s| s.matches(taint)));
        self.wake(Wake::Workloads);
        self.wake(Wake::Scheduler);
        self.wake(Wake::Lifecycle(claim));
    }

    /// Puts the disruption taint on a node, if it is not there.
    pub fn taint_disrupted(&mut self, id: NodeId) {
        let taint = self.taint(DISRUPTED_TAINT, Effect::NoSchedule);
        let Some(node) = self.cluster.nodes.get_mut(id) else {
            return;
        };
        if node.taints.iter().any(|t| t.matches(&taint)) {
            return;
        }
        node.taints.push(taint);
        self.cluster.tainted.insert(node.name.clone(), node.claim);
        let claim = self.cluster.claim_ref(self.cluster.nodes[id].claim);
        self.record(Fact::Tainted { claim, status: true });
        self.wake(Wake::NodeTrigger(id));
        self.notify_node(self.cluster.nodes[id].claim);
    }

    /// Takes the disruption taint off a node.
    pub fn untaint_disrupted(&mut self, id: NodeId) {
        let taint = self.taint(DISRUPTED_TAINT, Effect::NoSchedule);
        let Some(node) = self.cluster.nodes.get_mut(id) else {
            return;
        };
        let before = node.taints.len();
        node.taints.retain(|t| !t.matches(&taint));
        if node.taints.len() != before {
            self.cluster.tainted.remove(&node.name);
            let claim = self.cluster.claim_ref(self.cluster.nodes[id].claim);
            self.record(Fact::Tainted { claim, status: false });
            self.wake(Wake::Scheduler);
            self.notify_node(self.cluster.nodes[id].claim);
        }
    }

    /// True while the node carries the disruption taint.
    pub fn is_tainted_disrupted(&self, id: NodeId) -> bool {
        let key = self.symbols.find(DISRUPTED_TAINT);
        let taints = self.cluster.nodes.get(id).map_or(&[][..], |node| &node.taints);
        taints.iter().any(|t| Some(t.key.symbol) == key && t.effect == Effect::NoSchedule)
    }

    /// Writes a Node's deletionTimestamp.
    pub fn delete_node(&mut self, id: NodeId) {
        let now = self.now();
        let node = &mut self.cluster.nodes[id];
        if node.deletion_at.is_some() {
            return;
        }
        node.deletion_at = Some(now.floor_to_second());
        let fact = Fact::DrainStarted(self.cluster.claim_ref(self.cluster.nodes[id].claim));
        self.record(fact);
        if self.is_tainted_disrupted(id) {
            // Any change of such a Node triggers the provisioner, and moves the phase of the triggers to come.
            self.wake(Wake::NodeTrigger(id));
        }
        self.wake(Wake::Termination(id));
        self.notify_node(self.cluster.nodes[id].claim);
    }

    /// Starts the minimum drain time.
    pub fn begin_drain(&mut self, id: NodeId) {
        let now = self.now().floor_to_second();
        self.cluster.nodes[id].drain_started_at.get_or_insert(now);
    }

    /// The claim's Drained condition becomes True.
    pub fn set_drained(&mut self, id: NodeId) {
        if !self.cluster.nodes[id].drained {
            self.cluster.nodes[id].drained = true;
            let fact = Fact::Drained(self.cluster.claim_ref(self.cluster.nodes[id].claim));
            self.record(fact);
        }
    }

    /// True while volumes are attached that the termination waits for, which it does until its deadline.
    pub fn awaits_detachment(&self, id: NodeId) -> bool {
        let (now, node) = (self.now(), &self.cluster.nodes[id]);
        let deadline = self.cluster.claims[node.claim].termination_at;
        now < node.attached_until && deadline.is_none_or(|deadline| now <= deadline)
    }

    /// Removes a Node object, and in the same instant the pods still bound to it and those that were made for it.
    pub fn remove_node(&mut self, id: NodeId) {
        let node = &self.cluster.nodes[id];
        let (mut pods, claim) = (node.pods.clone(), node.claim);
        let waiting = self.cluster.pending_daemons.values().copied();
        pods.extend(waiting.filter(|pod| self.cluster.pods[*pod].destination == Some(id)));
        let fact = Fact::NodeRemoved(self.cluster.claim_ref(claim));
        self.record(fact);
        for pod in pods {
            self.remove_pod(pod);
        }
        let Some(node) = self.cluster.nodes.remove(id) else {
            return;
        };
        let timers = [node.termination_timer, node.trigger_timer, node.health_timer];
        for timer in timers.into_iter().flatten() {
            self.queue.cancel(timer);
        }
        self.cluster.nodes_by_name.remove(&node.name);
        self.cluster.tainted.remove(&node.name);
        self.cluster.nodes_without_daemons.retain(|n| *n != id);
        self.cluster.claims[node.claim].node = None;
        self.mark_unconsolidated();
        self.wake(Wake::Scheduler);
        self.wake(Wake::Lifecycle(node.claim));
    }
}
