//! Expiration: a NodeClaim is deleted when it reaches expireAfter, whatever budgets and annotations say.
//!
//! Each change of a NodeClaim sets its timer anew, which matters for the order among NodeClaims of one age.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/nodeclaim/expiration/controller.go`. The controller has one worker and
//! rests for a second after each deletion: nodes born together go one per second, in the order in which they became
//! due.

use std::collections::VecDeque;

use super::Karpenter;
use crate::units::{SimDuration, SimTime};
use crate::world::cluster::DeletionCause;
use crate::world::{ClaimId, Fact, Wake, World};

/// The worker's rest after a deletion.
const REST: SimDuration = SimDuration::from_seconds(1);

/// Claims that are due, in the order in which they became so.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpirationQueue {
    due: VecDeque<ClaimId>,
    free_at: SimTime,
}

impl Karpenter {
    /// One reconcile of nodeclaim.expiration.
    pub fn on_expiration(&mut self, world: &mut World, id: ClaimId) {
        let Some(claim) = world.cluster.claims.get(id) else {
            return;
        };
        let Some(expire_after) = claim.template.template.expire_after else {
            return;
        };
        let expires_at = claim.created_at + expire_after;
        if world.now() < expires_at {
            return world.wake_at(Wake::Expiration(id), expires_at);
        }
        if claim.deletion_at.is_none() && !self.expirations.due.contains(&id) {
            self.expirations.due.push_back(id);
        }
        self.expire_next(world);
    }

    fn expire_next(&mut self, world: &mut World) {
        let queue = &mut self.expirations;
        if world.now() >= queue.free_at {
            while let Some(id) = queue.due.pop_front() {
                let live = world.cluster.claims.get(id).is_some();
                if live && world.delete_claim(id, DeletionCause::Expired) {
                    world.record(Fact::Expired(world.cluster.claim_ref(id)));
                    queue.free_at = world.now() + REST;
                    break;
                }
            }
        }
        let free_at = queue.free_at;
        if let Some(next) = queue.due.front() {
            world.wake_at(Wake::Expiration(*next), free_at);
        }
    }
}
