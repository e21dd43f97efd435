//! Budgets: how many nodes of each NodePool may be disrupted now.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/helpers.go` (`BuildDisruptionBudgetMapping`).

use super::roster::Counts;
use crate::kube::node_pool::{self, Reason};
use crate::world::{ClusterView, PoolIndex};

/// Allowed disruptions left, per NodePool.
#[derive(Clone, Debug)]
pub(super) struct Budgets(Vec<i64>);

impl Budgets {
    /// What the budgets allow for `reason`, less the nodes that are already disrupted or not ready.
    pub(super) fn build(view: &ClusterView<'_>, counts: &[Counts], reason: Reason) -> Budgets {
        let now = view.now_epoch_ms();
        let left = counts.iter().zip(&view.cluster.pools).map(|(counts, pool)| {
            let budgets = &pool.spec.disruption.budgets;
            let allowed = node_pool::allowed_disruptions(budgets, reason, counts.total, now);
            (allowed - counts.disrupting).max(0)
        });
        Budgets(left.collect())
    }

    /// What is left, by NodePool.
    pub(super) fn allowed(&self) -> &[i64] {
        &self.0
    }

    /// How many of some candidates may go, given the NodePools of all.
    pub(super) fn cover(&self, pools: impl Iterator<Item = PoolIndex>) -> usize {
        let mut left = self.clone();
        pools.filter(|pool| left.take(*pool)).count()
    }

    /// True while the pool may lose another node.
    pub(super) fn allows(&self, pool: PoolIndex) -> bool {
        self.0[pool] > 0
    }

    /// Takes one disruption of the pool, if there is one left.
    pub(super) fn take(&mut self, pool: PoolIndex) -> bool {
        let allowed = self.allows(pool);
        if allowed {
            self.0[pool] -= 1;
        }
        allowed
    }
}
