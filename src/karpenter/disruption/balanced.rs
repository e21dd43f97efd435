//! The Balanced policy: a move must save, as a share of its NodePool's cost, at least half of what it disturbs as a
//! share of the pool's disruption cost.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/balanced.go`. All sums and quotients are taken in float64 in
//! upstream's order: a half-price replacement in a uniform pool scores exactly one half, and passes.

use std::collections::BTreeMap;

use super::candidate::{self, Candidate};
use crate::kube::node_pool::ConsolidationPolicy;
use crate::world::account::Score;
use crate::world::{ClusterView, PoolIndex};

/// The least score that is approved: one over k, and k is 2.
const THRESHOLD: f64 = 1.0 / 2.0;

/// What a NodePool's moves are measured against.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    /// USD per hour of the pool's nodes.
    cost: f64,
    /// Reschedule cost of the pool's nodes.
    disruption: f64,
}

/// The totals of one pass and method. They stay as they are while a command waits for its validation.
#[derive(Clone, Debug, Default)]
pub(super) struct Scores(BTreeMap<PoolIndex, Totals>);

pub(super) fn is_balanced(view: &ClusterView<'_>, pool: PoolIndex) -> bool {
    view.cluster.pools[pool].spec.disruption.policy == ConsolidationPolicy::Balanced
}

impl Scores {
    /// Totals of the Balanced pools among `candidates`, which are those before the method's own filter, in the order of
    /// state nodes.
    pub(super) fn build<'a>(
        view: &ClusterView<'_>,
        candidates: impl Iterator<Item = &'a Candidate> + Clone,
    ) -> Scores {
        let mut totals: BTreeMap<PoolIndex, Totals> = BTreeMap::new();
        for candidate in candidates.clone().filter(|c| is_balanced(view, c.pool)) {
            totals.entry(candidate.pool).or_default().cost += candidate.price;
        }
        if totals.is_empty() {
            return Scores(totals);
        }
        let costs: BTreeMap<_, f64> =
            candidates.map(|c| (c.claim.raw(), c.reschedule_cost)).collect();
        for (id, claim) in view.state_nodes() {
            if let Some(totals) = totals.get_mut(&claim.pool) {
                let known = costs.get(&id.raw()).copied();
                totals.disruption +=
                    known.unwrap_or_else(|| candidate::bound_pods_cost(view, claim));
            }
        }
        for (pool, totals) in &mut totals {
            let tracked = view.cluster.pools[*pool].cost.total();
            if tracked > 0.0 {
                totals.cost = tracked;
            }
        }
        Scores(totals)
    }

    /// True unless a Balanced pool among the candidates finds that the move saves too little. `savings` is that of the
    /// whole move, USD per hour.
    pub(super) fn approve(
        &self,
        view: &ClusterView<'_>,
        candidates: &[Candidate],
        savings: f64,
    ) -> bool {
        self.shares(view, candidates, savings).all(|(_, own_savings, disruption, totals)| {
            score(own_savings, disruption, totals) >= THRESHOLD
        })
    }

    /// What each Balanced pool among the candidates weighs: its part of the saving, USD per hour, and of the
    /// disruption, and the pool's totals.
    fn shares(
        &self,
        view: &ClusterView<'_>,
        candidates: &[Candidate],
        savings: f64,
    ) -> impl Iterator<Item = (PoolIndex, f64, f64, Totals)> {
        let mut pools: BTreeMap<PoolIndex, Vec<&Candidate>> = BTreeMap::new();
        for candidate in candidates {
            pools.entry(candidate.pool).or_default().push(candidate);
        }
        let price = |list: &[&Candidate]| list.iter().map(|c| c.price).sum::<f64>();
        let source_price: f64 = candidates.iter().map(|candidate| candidate.price).sum();
        let several = pools.len() > 1;
        let balanced = pools.into_iter().filter(|(pool, _)| is_balanced(view, *pool));
        balanced.map(move |(pool, own)| {
            let own_savings = if source_price > 0.0 && several {
                savings * (price(&own) / source_price)
            } else {
                savings
            };
            let disruption: f64 = own.iter().map(|candidate| candidate.reschedule_cost).sum();
            (pool, own_savings, disruption, self.0.get(&pool).copied().unwrap_or_default())
        })
    }

    /// The scores of a move, for a witness.
    pub(super) fn describe(
        &self,
        view: &ClusterView<'_>,
        candidates: &[Candidate],
        savings: f64,
    ) -> Vec<Score> {
        let shares = self.shares(view, candidates, savings);
        let described = shares.map(|(pool, own_savings, disruption, totals)| Score {
            pool: view.cluster.pools[pool].name.clone(),
            score: score(own_savings, disruption, totals),
            threshold: THRESHOLD,
            saved: own_savings / totals.cost,
            disturbed: disruption / totals.disruption,
        });
        described.collect()
    }

    /// False when not even the deletion of the candidate would be approved.
    pub(super) fn can_pass(&self, view: &ClusterView<'_>, candidate: &Candidate) -> bool {
        match self.0.get(&candidate.pool) {
            Some(totals) if totals.cost > 0.0 && is_balanced(view, candidate.pool) => {
                score(candidate.price, candidate.reschedule_cost, *totals) >= THRESHOLD
            }
            _ => true,
        }
    }
}

fn score(savings: f64, disruption: f64, totals: Totals) -> f64 {
    if totals.cost <= 0.0 || totals.disruption <= 0.0 {
        return 0.0;
    }
    let saved = savings / totals.cost;
    let disturbed = disruption / totals.disruption;
    if saved <= 0.0 {
        0.0
    } else if disturbed == 0.0 {
        f64::INFINITY
    } else {
        saved / disturbed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `disruption.md` 20.
    #[test]
    fn scores_match_the_test_vectors() {
        let totals = Totals { cost: 58.08, disruption: 90.0 };
        assert_eq!(score(7.26, 4.0, totals), 2.8125);
        assert!((score(4.84, 5.0, totals) - 1.5).abs() < 1e-12);
        assert!(score(2.42, 9.0, totals) < THRESHOLD);
        assert_eq!(score(2.42, 9.0, Totals { cost: 48.40, disruption: 90.0 }), 0.5);
        assert_eq!(score(0.096, 3.0, Totals { cost: 0.096, disruption: 3.0 }), 1.0);
        assert_eq!(score(1.0, 1.0, Totals::default()), 0.0);
        assert_eq!(score(0.0, 1.0, totals), 0.0);
    }
}
