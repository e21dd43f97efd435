//! What Karpenter takes for unavailable, applied to the NodePools' lists of instance types.

use std::sync::Arc;

use super::World;
use super::cluster::ClaimId;
use super::event::Event;
use super::journal::Fact;
use crate::ec2::capacity::OfferingKey;
use crate::ec2::{InstanceType, Offering};

/// Instance types that NodePools share.
type TypeList = Arc<Vec<InstanceType>>;

impl World {
    /// Offerings of a NodeClaim's pool, given with the type's position, failed to launch: Karpenter takes them for
    /// unavailable for a while.
    pub fn mark_unavailable(&mut self, id: ClaimId, failed: &[(u32, Offering)]) {
        if failed.is_empty() {
            return;
        }
        let types = self.cluster.pools[self.cluster.claims[id].pool].listed.clone();
        let mut keys = Vec::new();
        for (position, offering) in failed {
            let name = types[*position as usize].name;
            keys.push((name.symbol, offering.zone.symbol, offering.capacity_type));
            let fact = Fact::InsufficientCapacity {
                claim: self.cluster.claim_ref(id),
                instance_type: self.text(name),
                zone: self.text(offering.zone),
                capacity_type: offering.capacity_type.name(),
            };
            self.record(fact);
        }
        self.take_for_unavailable(keys);
    }

    /// Karpenter takes offerings for unavailable for a while.
    pub(super) fn take_for_unavailable(&mut self, keys: impl IntoIterator<Item = OfferingKey>) {
        let until = self.now() + self.settings.unavailable_for;
        for key in keys {
            self.cluster.capacity.mark_unavailable(key, until);
        }
        self.refresh_offerings();
        self.schedule(until, Event::OfferingsReturn);
    }

    /// Failures of launches are forgotten when their time has passed.
    pub fn forget_unavailable(&mut self) {
        let now = self.now();
        if self.cluster.capacity.forget(now) {
            self.refresh_offerings();
        }
    }

    /// Applies what is taken for unavailable to the lists of all NodePools.
    pub fn refresh_offerings(&mut self) {
        let cluster = &mut self.cluster;
        let mut known: Vec<(TypeList, TypeList)> = Vec::new();
        for pool in &mut cluster.pools {
            // NodePools of one EC2NodeClass share their list.
            let shared = known.iter().find(|(listed, _)| Arc::ptr_eq(listed, &pool.listed));
            pool.types = match shared {
                Some((_, types)) => types.clone(),
                None => {
                    let types = cluster.capacity.apply(&pool.listed).map(Arc::new);
                    let types = types.unwrap_or_else(|| pool.listed.clone());
                    known.push((pool.listed.clone(), types.clone()));
                    types
                }
            };
        }
        cluster.generation += 1;
    }
}
