//! Karpenter's controllers (layer 5). One `on_*` entry point an event; deciders below are pure.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/controllers.go` lists the actors.

use crate::scheduling::Core;
use crate::units::SimTime;
use crate::world::World;

pub mod batcher;
mod capacity_buffer;
pub mod conditions;
mod consistency;
pub mod disruption;
pub mod expiration;
mod health;
mod interruption;
pub mod lifecycle;
pub mod provisioner;
mod static_pools;
pub mod termination;

use batcher::Batcher;
use disruption::Disruption;
use expiration::ExpirationQueue;
use provisioner::FailureMemory;

pub use interruption::on_message;

/// The state of the controllers between events.
#[derive(Clone, Debug, Default)]
pub struct Karpenter {
    batcher: Batcher,
    expirations: ExpirationQueue,
    disruption: Disruption,
    failures: FailureMemory,
    fitting: conditions::Fitting,
    core: Option<Core>,
}

impl Karpenter {
    /// The controller starts: the disruption loop makes its first pass.
    pub fn start(&mut self, world: &mut World) {
        self.disruption.start(world);
    }

    /// The controller restarts: commands, the batching window and marks are lost.
    pub fn restart(&mut self, world: &mut World) {
        self.batcher.cancel(world);
        self.disruption.cancel(world);
        let disruption = self.disruption.successor();
        *self = Karpenter { disruption, ..Karpenter::default() };
        world.restart_controller();
        self.start(world);
    }

    /// When the present command of the disruption loop is validated, if one waits.
    pub fn validation_due_at(&self) -> Option<SimTime> {
        self.disruption.validation_due_at()
    }
}

/// The provisioner core, up to date with the cluster.
fn kept<'a>(core: &'a mut Option<Core>, world: &World) -> &'a mut Core {
    let view = world.view();
    if let Some(core) = core {
        core.refresh(&view);
    }
    core.get_or_insert_with(|| Core::new(&view))
}
