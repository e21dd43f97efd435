//! What Karpenter writes into a NodePool's status: the resources in use, and how registrations go.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/nodepool/counter/controller.go`, `pkg/state/nodepoolhealth/tracker.go`.

use std::collections::VecDeque;

use super::cluster::PoolIndex;
use super::event::Event;
use super::journal::Fact;
use super::{Wake, World};
use crate::units::{ResourceVec, SimDuration};

/// nodepool.counter looks again after this long, and after the second while NodeClaims are being launched.
const COUNTER_PERIOD: SimDuration = SimDuration::from_seconds(5);
const UNSYNCED_PERIOD: SimDuration = SimDuration::from_seconds(1);
/// Outcomes of registrations that are remembered.
const REMEMBERED: usize = 4;
/// Failures among them from which on a NodePool is unhealthy: half of those that can be remembered.
const UNHEALTHY_FROM: usize = REMEMBERED / 2;

/// How the last launches of a NodePool went, and what its condition NodeRegistrationHealthy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrationHealth {
    outcomes: VecDeque<bool>,
    condition: Option<bool>,
}

impl RegistrationHealth {
    /// The condition; `None` is Unknown.
    pub const fn condition(&self) -> Option<bool> {
        self.condition
    }

    /// A controller that starts knows the condition and fills in outcomes that it would follow from.
    fn restart(&mut self) {
        self.outcomes = match self.condition {
            None => VecDeque::new(),
            Some(true) => VecDeque::from([true]),
            Some(false) => VecDeque::from([false; UNHEALTHY_FROM]),
        };
    }

    /// Takes an outcome in. True when the condition changed: a good outcome can make it True only, a bad one False.
    fn record(&mut self, good: bool) -> bool {
        if self.outcomes.len() == REMEMBERED {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back(good);
        let bad = self.outcomes.iter().filter(|good| !**good).count();
        let healthy = bad < UNHEALTHY_FROM;
        let changes = healthy == good && self.condition != Some(good);
        if changes {
            self.condition = Some(good);
        }
        changes
    }
}

impl World {
    /// nodepool.counter: the resources of each NodePool's nodes, which nothing here reads, but whose change is a change
    /// of the NodePool.
    pub fn count_pools(&mut self) {
        let synced = self.cluster.unlaunched_count == 0;
        let mut sums = vec![ResourceVec::default(); self.cluster.pools.len()];
        for claim in
            self.cluster.claims_by_name.values().filter_map(|id| self.cluster.claims.get(*id))
        {
            if let Some(instance) = claim.instance.as_ref().filter(|_| !claim.is_deleting()) {
                sums[claim.pool].add(&instance.instance_type.get().capacity);
            }
        }
        if synced {
            for (index, sum) in sums.into_iter().enumerate() {
                if self.cluster.pools[index].counted != sum {
                    self.cluster.pools[index].counted = sum;
                    self.notify_pool(index);
                }
            }
        }
        let period = if synced { COUNTER_PERIOD } else { UNSYNCED_PERIOD };
        self.schedule(self.now() + period, Event::CountPools);
    }

    /// A NodeClaim of the NodePool registered, or did not in time.
    pub fn record_registration(&mut self, pool: PoolIndex, good: bool) {
        if self.cluster.pools[pool].health.record(good) {
            let name = self.cluster.pools[pool].name.clone();
            self.record(Fact::RegistrationHealth { pool: name, healthy: good });
            self.notify_pool(pool);
        }
    }

    /// The controller starts: of outcomes it knows what stands in the conditions.
    pub(super) fn restart_registration_health(&mut self) {
        self.cluster.pools.iter_mut().for_each(|pool| pool.health.restart());
    }

    /// A NodePool was written: nodeclaim.disruption looks at its NodeClaims, in the order of their names.
    pub fn notify_pool(&mut self, pool: PoolIndex) {
        let cluster = &self.cluster;
        let ids = cluster.claims_by_name.values().copied();
        let ids: Vec<_> = ids.filter(|id| cluster.claims[*id].pool == pool).collect();
        ids.into_iter().for_each(|id| self.wake(Wake::Conditions(id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// disruption.md 13.7: the divisor is always four.
    #[test]
    fn two_bad_outcomes_of_the_last_four_make_a_pool_unhealthy() {
        let mut health = RegistrationHealth::default();
        let conditions = [true, false, true, false, true, true, true, false, true].map(|good| {
            health.record(good);
            health.condition()
        });
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(conditions, [yes, yes, yes, no, no, yes, yes, yes, yes]);
    }

    /// `pkg/controllers/nodepool/registrationhealth/controller.go`: a healthy pool starts with one good outcome, an
    /// unhealthy one with two bad ones, a pool of which nothing is known with none.
    #[test]
    fn a_restart_keeps_of_outcomes_what_the_condition_says() {
        let after = |before: &[bool], later: &[bool]| {
            let mut health = RegistrationHealth::default();
            before.iter().for_each(|good| _ = health.record(*good));
            health.restart();
            later.iter().for_each(|good| _ = health.record(*good));
            health.condition()
        };
        // The bad outcome before the restart is forgotten: of it and the next one the pool would be unhealthy.
        assert_eq!(after(&[true, false], &[false]), Some(true));
        assert_eq!(after(&[true, false], &[false, false]), Some(false));
        assert_eq!(after(&[false], &[false]), None);
        // Two bad ones of four: the pool is healthy once one of them is forgotten.
        assert_eq!(after(&[false, false], &[true, true]), Some(false));
        assert_eq!(after(&[false, false], &[true, true, true]), Some(true));
    }
}
