//! What EC2 asks for instances, and what Karpenter knows of it.

use std::sync::Arc;

use super::cluster::{ClaimId, PoolCost};
use super::event::Event;
use super::journal::Fact;
use super::{TypeList, World};
use crate::ec2::capacity::OfferingPattern;
use crate::ec2::market;

impl World {
    /// EC2 asks `factor` times as much for some offerings from now on, also for instances that run. Karpenter hears of
    /// it when it next asks for prices.
    pub fn change_prices(&mut self, offerings: &OfferingPattern, factor: f64) {
        self.cluster.market.change(offerings.clone(), factor);
        let ids: Vec<ClaimId> = self.cluster.claims_by_name.values().copied().collect();
        for id in ids {
            let instance = &mut self.cluster.claims[id].instance;
            let Some(instance) = instance.as_mut().filter(|i| i.terminating_at.is_none()) else {
                continue;
            };
            let name = instance.instance_type.get().name;
            let (zone, capacity_type) = (instance.zone, instance.capacity_type);
            if offerings.covers(&self.symbols, name, zone, capacity_type) {
                instance.billed *= factor;
                let price = instance.billed;
                let claim = self.cluster.claim_ref(id);
                self.record(Fact::PriceChanged { claim, price });
            }
        }
        let next = market::next_question(self.cluster.controller_started_at, self.now());
        self.schedule(next, Event::Prices);
    }

    /// The pricing controller's turn. Questions of a controller that is no more are not asked.
    pub fn ask_prices(&mut self) {
        if market::next_question(self.cluster.controller_started_at, self.now()) == self.now() {
            self.learn_prices();
        }
    }

    /// Karpenter decides by the present prices from now on.
    pub(super) fn learn_prices(&mut self) {
        if !self.cluster.market.has_news() {
            return;
        }
        let mut known: Vec<(TypeList, TypeList)> = Vec::new();
        for index in 0..self.cluster.pools.len() {
            let provided = self.cluster.pools[index].provided.clone();
            // NodePools of one EC2NodeClass share their list.
            let shared = known.iter().find(|(old, _)| Arc::ptr_eq(old, &provided));
            let renewed = shared.map(|(_, new)| new.clone()).unwrap_or_else(|| {
                let mut types = provided.to_vec();
                let changed = self.cluster.market.renew(&self.symbols, &mut types);
                if changed { Arc::new(types) } else { provided.clone() }
            });
            self.cluster.pools[index].provided = renewed.clone();
            known.push((provided, renewed));
        }
        self.cluster.market.learn();
        self.evaluate_overlays();
        self.value_claims();
    }

    /// NodeClaims count at the prices that Karpenter knows now.
    fn value_claims(&mut self) {
        let cluster = &mut self.cluster;
        cluster.pools.iter_mut().for_each(|pool| pool.cost = PoolCost::default());
        for id in cluster.claims_by_name.values() {
            let claim = &mut cluster.claims[*id];
            let pool = &mut cluster.pools[claim.pool];
            let Some(instance) = &mut claim.instance else {
                continue;
            };
            let name = instance.instance_type.get().name;
            let listed = pool.listed.iter().find(|it| it.name == name);
            let price =
                listed.and_then(|it| it.offering_price(instance.zone, instance.capacity_type));
            instance.price = price.unwrap_or(instance.price);
            pool.cost.add(instance.price);
        }
    }

    /// A NodePool that was put has the prices that Karpenter knows.
    pub fn price_pool(&mut self, name: &str) {
        let Some(index) = self.cluster.find_pool(name) else {
            return;
        };
        let mut types = self.cluster.pools[index].provided.to_vec();
        if self.cluster.market.bring_up(&self.symbols, &mut types) {
            self.cluster.pools[index].provided = Arc::new(types);
        }
    }
}
