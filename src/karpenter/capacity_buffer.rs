//! The controller of CapacityBuffers: it counts their pods again every 30 s and has the provisioner look.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/capacitybuffer/controller.go`,
//! `pkg/controllers/provisioning/buffers.go`.

use std::collections::BTreeSet;

use super::Karpenter;
use super::batcher::Trigger;
use crate::scheduling::Solution;
use crate::units::SimDuration;
use crate::world::{Wake, World};

/// From one reconcile of a buffer to the next.
const REPEAT: SimDuration = SimDuration::from_seconds(30);

impl Karpenter {
    /// One reconcile of a CapacityBuffer.
    pub fn on_capacity_buffer(&mut self, world: &mut World, index: u32) {
        if world.resolve_buffer(index) {
            self.trigger(world, Trigger::Buffer(index));
        }
        let buffer = world.cluster.capacity_buffers.get(index as usize);
        if buffer.is_some_and(|buffer| buffer.spec.is_some()) {
            world.wake_after(Wake::CapacityBuffer(index), REPEAT);
        }
    }
}

/// Remembers which nodes the pass counted on for virtual pods: they are not deleted as empty.
pub(super) fn note_hosts(world: &mut World, solution: &Solution) {
    if world.cluster.capacity_buffers.is_empty() {
        return;
    }
    let hosts = solution
        .existing
        .iter()
        .filter(|placement| placement.pods.iter().any(|pod| world.cluster.pods[*pod].is_virtual()));
    let hosts = hosts.map(|placement| world.cluster.claims[placement.claim].ordinal);
    let hosts: BTreeSet<u64> = hosts.collect();
    world.set_buffer_hosts(hosts);
}
