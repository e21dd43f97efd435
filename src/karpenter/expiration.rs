//! Expiration: a NodeClaim is deleted when it reaches expireAfter, whatever budgets and annotations say.
//!
//! Each change of a NodeClaim makes the controller look at it, and moves its place in the queue behind the others of
//! its age.
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

/// Claims that the worker has to look at, in the order in which their entries became due.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpirationQueue {
    due: VecDeque<ClaimId>,
    free_at: SimTime,
}

impl Karpenter {
    /// An entry of nodeclaim.expiration's queue is due, or the worker has rested.
    pub fn on_expiration(&mut self, world: &mut World, id: ClaimId) {
        let queue = &mut self.expirations;
        if !queue.due.contains(&id) {
            queue.due.push_back(id);
        }
        while world.now() >= queue.free_at
            && let Some(id) = queue.due.pop_front()
        {
            if expire(world, id) {
                queue.free_at = world.now() + REST;
            }
        }
        if let Some(next) = queue.due.front() {
            world.wake_at(Wake::Expiration(*next), queue.free_at);
        }
    }
}

/// One reconcile. True when the NodeClaim was deleted.
fn expire(world: &mut World, id: ClaimId) -> bool {
    let Some(claim) = world.cluster.claims.get(id).filter(|claim| claim.deletion_at.is_none())
    else {
        return false;
    };
    let Some(expire_after) = claim.template.template.expire_after else {
        return false;
    };
    let expires_at = claim.created_at + expire_after;
    if world.now() < expires_at {
        world.wake_at(Wake::Expiration(id), expires_at);
        return false;
    }
    let deleted = world.delete_claim(id, DeletionCause::Expired);
    world.record(Fact::Expired(world.cluster.claim_ref(id)));
    deleted
}
