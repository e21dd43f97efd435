//! The batching window: it opens with a trigger, closes after a second without a new one, after ten in any case.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/batcher.go`, `pkg/controllers/provisioning/controller.go`.

use std::collections::BTreeSet;

use super::Karpenter;
use crate::engine::Timer;
use crate::units::{SimDuration, SimTime};
use crate::world::{Event, NodeId, PodId, Wake, World};

/// A pending pod and a node with the disruption taint trigger again after this long.
const RETRIGGER: SimDuration = SimDuration::from_seconds(10);

/// Who triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trigger {
    Pod(u64),
    Node(u64),
    Buffer(u32),
}

/// State of the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Batcher {
    /// Who triggered since the last window closed. A repeated trigger has no effect at all.
    seen: BTreeSet<Trigger>,
    window: Option<Window>,
    /// From then on the provisioner waits for triggers again; earlier ones are kept for it.
    waits_from: SimTime,
}

#[derive(Clone, Debug)]
struct Window {
    closes: Timer,
    latest: SimTime,
}

impl Batcher {
    fn trigger(&mut self, world: &mut World, who: Trigger) {
        if !self.seen.insert(who) {
            return;
        }
        let (now, options) = (world.now().max(self.waits_from), &world.settings.karpenter);
        let (idle, max) = (options.batch_idle, options.batch_max);
        match &self.window {
            None => {
                let latest = now + max;
                let closes = world.schedule((now + idle).min(latest), Event::BatchEnds);
                self.window = Some(Window { closes, latest });
            }
            Some(window) => {
                world.queue.reschedule(window.closes, (now + idle).min(window.latest));
            }
        }
    }

    /// The window never closes.
    pub(super) fn cancel(&mut self, world: &mut World) {
        if let Some(window) = self.window.take() {
            world.queue.cancel(window.closes);
        }
    }

    /// The window closed at `now`.
    pub(super) fn close(&mut self, now: SimTime) {
        self.window = None;
        self.waits_from = now + SimDuration::AT_ONCE;
        self.seen.clear();
    }
}

impl Karpenter {
    /// Opens the batching window, or keeps it open.
    pub(super) fn trigger(&mut self, world: &mut World, who: Trigger) {
        self.batcher.trigger(world, who);
    }

    /// provisioner.trigger.pod: a provisionable pod triggers, and again every 10 s.
    pub fn on_pod_trigger(&mut self, world: &mut World, pod: PodId) {
        let provisionable =
            world.cluster.pods.get(pod).is_some_and(|p| p.unschedulable && p.node.is_none());
        if provisionable {
            self.batcher.trigger(world, Trigger::Pod(pod.raw()));
            world.wake_after(Wake::PodTrigger(pod), RETRIGGER);
        }
    }

    /// provisioner.trigger.node: a node with the disruption taint triggers, and again every 10 s.
    pub fn on_node_trigger(&mut self, world: &mut World, node: NodeId) {
        if world.is_tainted_disrupted(node) {
            self.batcher.trigger(world, Trigger::Node(node.raw()));
            world.wake_after(Wake::NodeTrigger(node), RETRIGGER);
        }
    }
}
