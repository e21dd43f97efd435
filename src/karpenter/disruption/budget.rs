//! Budgets: how many nodes of each NodePool may be disrupted now.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/helpers.go` (`BuildDisruptionBudgetMapping`).

use crate::kube::node_pool::{self, Reason};
use crate::world::{ClusterView, PoolIndex};

/// Allowed disruptions left, per NodePool.
#[derive(Clone, Debug)]
pub(super) struct Budgets(Vec<i64>);

impl Budgets {
    /// What the budgets allow for `reason`, less the nodes that are already disrupted or not ready.
    pub(super) fn build(view: &ClusterView<'_>, reason: Reason) -> Budgets {
        let pools = view.cluster.pools.len();
        let (mut total, mut disrupting) = (vec![0; pools], vec![0; pools]);
        for (_, claim) in view.state_nodes() {
            if !claim.is_initialized() || claim.is_instance_terminating() {
                continue;
            }
            total[claim.pool] += 1;
            let ready = view.node(claim).is_some_and(|node| node.ready);
            disrupting[claim.pool] += i64::from(!ready || claim.is_deleting());
        }
        let now = view.now_epoch_ms();
        let left = (0..pools).map(|pool| {
            let budgets = &view.cluster.pools[pool].spec.disruption.budgets;
            let allowed = node_pool::allowed_disruptions(budgets, reason, total[pool], now);
            (allowed - disrupting[pool]).max(0)
        });
        Budgets(left.collect())
    }

    /// What is left, by NodePool.
    pub(super) fn allowed(&self) -> &[i64] {
        &self.0
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
