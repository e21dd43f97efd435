//! What Karpenter takes for unavailable, applied to the NodePools' lists of instance types.

use std::sync::Arc;

use super::cluster::{ClaimId, DRIFT_PERIOD};
use super::event::Event;
use super::journal::Fact;
use super::{TypeList, Wake, World};
use crate::ec2::capacity::{self, OfferingKey};
use crate::ec2::{InstanceType, Offering, overlay};
use crate::kube::{NodeOverlay, node_overlay};

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

    /// The provider no longer lists the instance types of a name, in which `*` stands for any text. Karpenter notices
    /// when it next looks at its NodeClaims.
    pub fn withdraw_types(&mut self, pattern: &str) {
        self.cluster.withdrawn.push(pattern.into());
        self.apply_withdrawals();
        self.evaluate_overlays();
        let ids: Vec<ClaimId> = self.cluster.claims_by_name.values().copied().collect();
        ids.into_iter().for_each(|id| self.wake_after(Wake::Conditions(id), DRIFT_PERIOD));
    }

    /// Takes what was withdrawn out of the NodePools' lists: the types stay, so that positions do, but nothing of them
    /// is sold.
    pub fn apply_withdrawals(&mut self) {
        if self.cluster.withdrawn.is_empty() {
            return;
        }
        let (symbols, cluster) = (&self.symbols, &mut self.cluster);
        let withdrawn = &cluster.withdrawn;
        let is_withdrawn = |it: &InstanceType| {
            let name = symbols.text(it.name.symbol);
            withdrawn.iter().any(|pattern| capacity::matches(pattern, name))
        };
        let mut known: Vec<(TypeList, TypeList)> = Vec::new();
        for pool in &mut cluster.pools {
            let shared = known.iter().find(|(provided, _)| Arc::ptr_eq(provided, &pool.provided));
            let list = shared.map(|(_, list)| list.clone()).unwrap_or_else(|| {
                let mut types = pool.provided.to_vec();
                types.iter_mut().filter(|it| is_withdrawn(it)).for_each(|it| it.offerings.clear());
                Arc::new(types)
            });
            known.push((pool.provided.clone(), list.clone()));
            pool.provided = list;
        }
    }

    /// Creates or replaces a NodeOverlay. Karpenter does not look at them while their feature gate is off.
    pub fn put_overlay(&mut self, overlay: NodeOverlay) {
        if !self.settings.karpenter.gates.node_overlay {
            return;
        }
        let overlays = &mut self.cluster.node_overlays;
        overlays.retain(|known| known.name != overlay.name);
        overlays.push(overlay);
        node_overlay::sort_by_weight(overlays);
        self.evaluate_overlays();
    }

    /// Removes a NodeOverlay.
    pub fn remove_overlay(&mut self, name: &str) {
        self.cluster.node_overlays.retain(|known| *known.name != *name);
        self.evaluate_overlays();
    }

    /// Looks at all NodeOverlays again, as Karpenter does whenever one of them, a NodePool or an EC2NodeClass changes,
    /// and voids the consolidated marks. Karpenter also looks every six hours: nothing else has changed by then, and
    /// the marks are void after five minutes in any case.
    pub fn evaluate_overlays(&mut self) {
        let cluster = &mut self.cluster;
        let live: Vec<usize> =
            (0..cluster.pools.len()).filter(|i| !cluster.pools[*i].deleted).collect();
        let pools = live.iter().map(|i| &cluster.pools[*i]);
        let pools: Vec<_> = pools.map(|pool| (&*pool.spec, pool.provided.as_slice())).collect();
        let overlaid = overlay::evaluate(&cluster.node_overlays, &pools);
        for (index, types) in live.into_iter().zip(overlaid.types) {
            let pool = &mut cluster.pools[index];
            pool.listed = types.map_or_else(|| pool.provided.clone(), Arc::new);
        }
        self.refresh_offerings();
        if self.settings.karpenter.gates.node_overlay {
            self.mark_unconsolidated();
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
