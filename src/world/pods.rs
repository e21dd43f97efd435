//! Mutators of pods: creation, binding, running, deletion, removal.

use std::sync::Arc;

use super::cluster::{Cluster, NodeId, Owner, Pod, PodId};
use super::event::Event;
use super::journal::{Cause, Fact};
use super::settings::PodUids;
use super::{Wake, World};
use crate::engine::Purpose;
use crate::kube::PodClass;
use crate::kube::pod::DoNotDisrupt;
use crate::units::{SimDuration, SimTime};

/// A pod object lives at least this long after its deletionTimestamp was written (recorded from Karpenter's own tests
/// of grace period 0: the object is seen with its deletionTimestamp before it goes).
const SHORTEST_STOP: SimDuration = SimDuration::from_ms(10);

impl World {
    /// Creates a pod, which waits for kube-scheduler; with `destination` (DaemonSets) for room on that node alone.
    pub fn create_pod(
        &mut self,
        name: Arc<str>,
        class: Arc<PodClass>,
        owner: Owner,
        uid_parts: (u64, u64),
        destination: Option<NodeId>,
    ) -> PodId {
        let ordinal = self.cluster.pod_count;
        self.cluster.pod_count += 1;
        let uid = self.pod_uid(ordinal, uid_parts);
        let draws = self.streams.mix(Purpose::PodUid, uid_parts.0, uid_parts.1 as u32) >> 8;
        let id = self.cluster.pods.insert(Pod {
            uid,
            draws,
            destination,
            ..Pod::new(ordinal, name, class, owner, self.now())
        });
        self.cluster.pods_by_ordinal.insert(ordinal, id);
        self.cluster.count_pod(id);
        match owner {
            Owner::Deployment(index) => self.cluster.deployments[index].live.push(id),
            Owner::Job(index) => self.cluster.jobs[index].live.push(id),
            Owner::DaemonSet(_) | Owner::Source(_) | Owner::Buffer | Owner::Bare => {}
        }
        self.create_ephemeral_claims(id);
        let fact = Fact::PodCreated(self.cluster.pods[id].reference());
        self.record(fact);
        let pod = &self.cluster.pods[id];
        let key = (-i64::from(pod.class.priority), pod.ordinal);
        match destination {
            Some(_) => self.cluster.pending_daemons.insert(key, id),
            None => self.cluster.pending.insert(key, id),
        };
        self.wake(Wake::Scheduler);
        id
    }

    /// The UID of a pod; `parts` tell it apart under every policy.
    pub(super) fn pod_uid(&self, ordinal: u64, parts: (u64, u64)) -> u64 {
        match self.settings.pod_uids {
            PodUids::CreationOrder => ordinal,
            PodUids::Hash => self.streams.mix(Purpose::PodUid, parts.0, parts.1 as u32),
        }
    }

    /// kube-scheduler found no node: the pod becomes provisionable, unless a DaemonSet owns it (karpenter v1.14.1
    /// `pkg/utils/pod/scheduling.go`, `IsProvisionable`). Said once per pod.
    pub fn mark_unschedulable(&mut self, id: PodId) {
        let pod = &mut self.cluster.pods[id];
        if pod.unschedulable {
            return;
        }
        pod.unschedulable = true;
        let (fact, provisionable) = (Fact::PodUnschedulable(pod.reference()), !pod.is_daemon());
        self.record(fact);
        if provisionable {
            self.wake(Wake::PodTrigger(id));
        }
    }

    /// Binds a pod to a node and, once the node is Ready, starts it.
    pub fn bind_pod(&mut self, id: PodId, node_id: NodeId) {
        let now = self.now();
        let pod = &mut self.cluster.pods[id];
        let key = (-i64::from(pod.class.priority), pod.ordinal);
        self.cluster.pending.remove(&key);
        self.cluster.pending_daemons.remove(&key);
        pod.bound_at = Some(now);
        let reference = pod.reference();
        self.occupy(id, node_id);
        self.bind_volumes(id, node_id);
        let node = &self.cluster.nodes[node_id];
        let (claim, ready) = (node.claim, node.ready);
        let node = self.cluster.claim_ref(claim);
        self.record(Fact::PodBound { pod: reference, node });
        self.mark_unconsolidated();
        self.schedule_pod_event(id);
        if ready {
            self.start_pod(id, node_id);
        }
    }

    /// A bound pod was written: nodeclaim.disruption looks at its node's claim.
    fn notify_pod(&mut self, id: PodId) {
        let node = self.cluster.pods.get(id).and_then(|pod| pod.node);
        let claim = node.and_then(|node| self.cluster.nodes.get(node)).map(|node| node.claim);
        if let Some(claim) = claim
            && self.keeps_queue_order()
        {
            self.wake(Wake::Conditions(claim));
        }
    }

    /// The pod takes its share of a node.
    pub(super) fn occupy(&mut self, id: PodId, node_id: NodeId) {
        self.cluster.pods[id].node = Some(node_id);
        let Cluster { pods, nodes, repelling, .. } = &mut self.cluster;
        let (pod, node) = (&pods[id], &mut nodes[node_id]);
        let position = node.pods.partition_point(|known| pods[*known].rank() < pod.rank());
        node.pods.insert(position, id);
        node.used.add(&pod.class.requests);
        node.nonzero_cpu_milli += pod.class.nonzero_cpu_milli;
        node.nonzero_memory_bytes += pod.class.nonzero_memory_bytes;
        if pod.is_daemon() {
            node.daemon_used.add(&pod.class.requests);
        }
        if !pod.class.pod_anti_affinity.required.is_empty() {
            repelling.insert(pod.ordinal, id);
        }
    }

    /// A change of a bound pod that nodeclaim.podevents and nodeclaim.disruption look at.
    pub(super) fn schedule_pod_event(&mut self, id: PodId) {
        self.notify_pod(id);
        // DaemonSet pods never move lastPodEventTime: podevents ignores them after a look at their owner.
        if !self.cluster.pods[id].is_daemon() {
            self.schedule(self.now(), Event::PodEvent(id));
        }
    }

    /// The kubelet of a Ready node starts a bound pod: image pulls one at a time, then the start itself.
    pub(super) fn start_pod(&mut self, id: PodId, node_id: NodeId) {
        if self.is_kubelet_dead(node_id) {
            return;
        }
        let images_at = self.pull_images(id, node_id);
        let pod = &self.cluster.pods[id];
        let start = &self.settings.latency.pod_start;
        let delay = self.streams.sample(start, Purpose::PodStart, pod.draws, 0);
        let at = images_at + SimDuration::from_ms(delay) + pod.class.ready_delay;
        let timer = self.schedule(at, Event::PodStarts(id));
        self.cluster.pods[id].kubelet_timer = Some(timer);
    }

    /// When the pod's images are present; absent ones join the node's queue of pulls.
    fn pull_images(&mut self, id: PodId, node_id: NodeId) -> SimTime {
        let now = self.now();
        let class = self.cluster.pods[id].class.clone();
        // DaemonSet images are part of the boot latency.
        if self.cluster.pods[id].is_daemon() || class.images.is_empty() {
            return now;
        }
        let node = &mut self.cluster.nodes[node_id];
        let ordinal = self.cluster.claims[node.claim].ordinal;
        for image in &class.images {
            if node.images.contains(image) {
                continue;
            }
            let pull = &self.settings.latency.image_pull;
            let nth = node.images.len() as u32;
            let takes = self.streams.sample(pull, Purpose::ImagePull, ordinal, nth).max(0);
            node.pulls_end_at = node.pulls_end_at.max(now) + SimDuration::from_ms(takes);
            node.images.push(image.clone());
        }
        // An image that is still on its way keeps later pods waiting too.
        node.pulls_end_at.max(now)
    }

    /// A pod is Running and Ready.
    pub fn mark_running(&mut self, id: PodId) {
        let now = self.now();
        let Some(pod) = self.cluster.pods.get_mut(id) else {
            return;
        };
        pod.running_at = Some(now);
        pod.kubelet_timer = None;
        let (owner, healthy) = (pod.owner, pod.is_healthy());
        let fact = Fact::PodRunning(pod.reference());
        self.record(fact);
        self.notify_pod(id);
        self.cluster.count_health(id, i64::from(healthy));
        self.begin_work(id);
        if let Owner::Job(index) = owner {
            let runs = self.cluster.jobs[index].spec.duration;
            let timer = self.schedule(now + runs, Event::PodSucceeds(id));
            self.cluster.pods[id].kubelet_timer = Some(timer);
        }
    }

    /// A pod has run to completion: it holds nothing any more, and its object goes after the Job's delay.
    pub fn mark_succeeded(&mut self, id: PodId) {
        let now = self.now();
        let Some(pod) = self.cluster.pods.get(id) else {
            return;
        };
        let (owner, healthy) = (pod.owner, pod.is_healthy());
        self.cluster.count_health(id, -i64::from(healthy));
        self.release(id);
        let pod = &mut self.cluster.pods[id];
        self.cluster.repelling.remove(&pod.ordinal);
        pod.finished_at = Some(now);
        pod.kubelet_timer = None;
        let fact = Fact::PodSucceeded(pod.reference());
        self.record(fact);
        self.forget_live(id, owner);
        if let Owner::Job(index) = owner {
            let job = &mut self.cluster.jobs[index];
            job.succeeded += 1;
            job.failures_in_row = 0;
            if let Some(ttl) = job.spec.pod_ttl {
                let timer = self.schedule(now + ttl, Event::PodStops(id));
                self.cluster.pods[id].kubelet_timer = Some(timer);
            }
        }
        if let Owner::Source(_) = owner {
            self.clean_up(id);
        }
        self.schedule_pod_event(id);
        self.wake(Wake::Scheduler);
    }

    /// Frees a pod's share of its node.
    fn release(&mut self, id: PodId) {
        let pod = &self.cluster.pods[id];
        let Some(node) = pod.node.and_then(|node| self.cluster.nodes.get_mut(node)) else {
            return;
        };
        node.used.subtract(&pod.class.requests);
        node.nonzero_cpu_milli -= pod.class.nonzero_cpu_milli;
        node.nonzero_memory_bytes -= pod.class.nonzero_memory_bytes;
        if pod.is_daemon() {
            node.daemon_used.subtract(&pod.class.requests);
        }
    }

    /// Annotates a pod with `karpenter.sh/do-not-disrupt`.
    pub fn annotate_pod(&mut self, id: PodId, protection: DoNotDisrupt) {
        let Some(pod) = self.cluster.pods.get_mut(id) else {
            return;
        };
        pod.do_not_disrupt = protection;
        let fact = Fact::PodAnnotated(pod.reference());
        self.record(fact);
        self.notify_pod(id);
    }

    /// Deletes a pod with `grace`: an unbound one goes at once, a bound one when its processes have ended.
    pub fn delete_pod(&mut self, id: PodId, grace: SimDuration, cause: Cause) {
        let now = self.now();
        let pod = &mut self.cluster.pods[id];
        if pod.deletion_at.is_some() {
            return;
        }
        let Some(node) = pod.node.filter(|_| !pod.is_finished()) else {
            return self.remove_pod(id);
        };
        let (owner, healthy) = (pod.owner, pod.is_healthy());
        pod.deletion_at = Some((now + grace).floor_to_second());
        self.cluster.count_health(id, -i64::from(healthy));
        self.forget_live(id, owner);
        if let Owner::Job(index) = owner {
            self.cluster.jobs[index].terminating += 1;
        }
        let claim = self.cluster.nodes[node].claim;
        let fact = Fact::PodTerminating {
            pod: self.cluster.pods[id].reference(),
            node: self.cluster.claim_ref(claim),
            cause,
        };
        self.record(fact);
        if cause != Cause::ScaleDown {
            self.interrupt_work(id);
        }
        if let Some(timer) = self.cluster.pods[id].kubelet_timer.take() {
            self.queue.cancel(timer);
        }
        // Where no kubelet is left, the object goes with the Node.
        if !self.is_kubelet_dead(node) {
            let latency = &self.settings.latency;
            let draws = self.cluster.pods[id].draws;
            let stop = self.streams.sample(&latency.pod_stop, Purpose::PodStop, draws, 0);
            let stop = SimDuration::from_ms(stop.max(0)).min(grace);
            let timer = self.schedule(now + stop.max(SHORTEST_STOP), Event::PodStops(id));
            self.cluster.pods[id].kubelet_timer = Some(timer);
        }
        self.schedule_pod_event(id);
    }

    /// The instance of a node is gone: nobody starts or stops its pods.
    pub(super) fn is_kubelet_dead(&self, id: NodeId) -> bool {
        let node = self.cluster.nodes.get(id);
        node.is_some_and(|node| self.cluster.claims[node.claim].is_instance_gone())
    }

    /// The pods of a node neither start nor end by themselves any more.
    pub(super) fn stop_kubelet(&mut self, id: NodeId) {
        for pod in self.cluster.nodes[id].pods.clone() {
            let pod = &mut self.cluster.pods[pod];
            if !pod.is_finished()
                && let Some(timer) = pod.kubelet_timer.take()
            {
                self.queue.cancel(timer);
            }
        }
    }

    /// Shortens the grace period of a terminating pod.
    pub fn shorten_grace(&mut self, id: PodId, grace: SimDuration) {
        let latest = self.now() + grace;
        let pod = &mut self.cluster.pods[id];
        if pod.deletion_at.is_none_or(|at| at <= latest) {
            return;
        }
        pod.deletion_at = Some(latest.floor_to_second());
        if let Some(timer) = pod.kubelet_timer
            && self.queue.due_at(timer).is_some_and(|due| due > latest)
        {
            self.queue.reschedule(timer, latest);
        }
    }

    fn forget_live(&mut self, id: PodId, owner: Owner) {
        match owner {
            Owner::Deployment(index) => {
                self.cluster.deployments[index].live.retain(|live| *live != id);
                self.cluster.dirty_deployments.insert(index);
            }
            Owner::Job(index) => {
                self.cluster.jobs[index].live.retain(|live| *live != id);
                self.cluster.dirty_jobs.insert(index);
            }
            Owner::DaemonSet(_) | Owner::Source(_) | Owner::Buffer | Owner::Bare => return,
        }
        self.wake(Wake::Workloads);
    }

    /// Removes a pod object and frees what it held.
    pub fn remove_pod(&mut self, id: PodId) {
        if self.cluster.pods.get(id).is_some_and(|pod| !pod.is_finished()) {
            self.release(id);
        }
        // An active pod that was bound vanishes with its node; one that was not is deleted by a person.
        if self.cluster.pods.get(id).is_some_and(|pod| pod.is_active() && pod.node.is_some()) {
            self.interrupt_work(id);
        }
        self.notify_pod(id);
        let Some(pod) = self.cluster.pods.remove(id) else {
            return;
        };
        if let Owner::Job(index) = pod.owner
            && pod.deletion_at.is_some()
            && !pod.is_finished()
        {
            self.end_job_pod(index);
        }
        self.cluster.pods_by_ordinal.remove(&pod.ordinal);
        self.cluster.uncount_pod(&pod);
        for timer in [pod.kubelet_timer, pod.trigger_timer].into_iter().flatten() {
            self.queue.cancel(timer);
        }
        let key = (-i64::from(pod.class.priority), pod.ordinal);
        self.cluster.pending.remove(&key);
        self.cluster.pending_daemons.remove(&key);
        self.cluster.repelling.remove(&pod.ordinal);
        self.detach_volumes(&pod);
        self.remove_ephemeral_claims(&pod.class.namespace, &pod.name, &pod.class.volumes);
        if pod.is_active() {
            self.forget_live(id, pod.owner);
        }
        let mut from = None;
        if let Some(node) = pod.node.and_then(|node| self.cluster.nodes.get_mut(node)) {
            node.pods.retain(|bound| *bound != id);
            from = Some(node.claim);
        }
        let node = from.map(|claim| self.cluster.claim_ref(claim));
        self.record(Fact::PodRemoved { pod: pod.reference(), node });
        self.mark_unconsolidated();
        self.wake(Wake::Scheduler);
    }

    /// The pod waits in Karpenter's eviction queue.
    pub fn enqueue_eviction(&mut self, id: PodId) {
        let pod = &mut self.cluster.pods[id];
        if !pod.in_eviction_queue {
            pod.in_eviction_queue = true;
            pod.eviction_attempts = 0;
            let timer = self.schedule(self.now(), Event::Eviction(id));
            self.cluster.pods[id].eviction_timer = Some(timer);
        }
    }

    /// An eviction was refused: the pod's next attempt comes after `pause`.
    pub fn retry_eviction(&mut self, id: PodId, pause: SimDuration) {
        self.cluster.pods[id].eviction_attempts += 1;
        let timer = self.schedule(self.now() + pause, Event::Eviction(id));
        self.cluster.pods[id].eviction_timer = Some(timer);
    }
}
