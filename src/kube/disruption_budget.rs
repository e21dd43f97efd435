//! PodDisruptionBudgets of `policy/v1`: how many pods of a set may be evicted now.
//!
//! Upstream: Kubernetes v1.36 `pkg/controller/disruption/disruption.go`; what Karpenter reads of them: karpenter
//! v1.14.1 `pkg/utils/pdb/pdb.go`.

use std::sync::Arc;

use super::PodClass;
use super::selector::LabelSelector;

/// A PodDisruptionBudget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisruptionBudget {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// The pods; `None` selects none.
    pub selector: Option<LabelSelector>,
    /// How many of them must stay.
    pub bound: Bound,
    /// `unhealthyPodEvictionPolicy: AlwaysAllow`: pods that run but are not Ready may always go.
    pub always_allow_unhealthy: bool,
}

/// `spec.maxUnavailable` or `spec.minAvailable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At most so many of the expected pods may be missing.
    MaxUnavailable(Amount),
    /// At least so many pods must be healthy.
    MinAvailable(Amount),
}

/// A number of pods or a percentage of the expected ones, which is rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A number.
    Count(i64),
    /// A percentage.
    Percent(i64),
}

impl Amount {
    fn of(self, expected: i64) -> i64 {
        match self {
            Amount::Count(count) => count,
            Amount::Percent(percent) => (percent * expected + 99).div_euclid(100),
        }
    }
}

/// What a budget's pods are at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Pod objects.
    pub pods: i64,
    /// Ready pods without deletionTimestamp.
    pub healthy: i64,
    /// Replicas of the workloads that own them.
    pub replicas: i64,
    /// Pods whose owner has no replicas to count: of Jobs and DaemonSets, and those without an owner.
    pub unscaled: i64,
}

impl DisruptionBudget {
    /// True iff the budget is about pods of this class.
    pub fn selects(&self, class: &PodClass) -> bool {
        self.namespace == class.namespace
            && self.selector.as_ref().is_some_and(|selector| selector.matches(&class.labels))
    }

    /// Healthy pods that must stay; `None` when that cannot be told, because some pod's owner has no replicas to count.
    /// No disruption is allowed then.
    pub fn desired_healthy(&self, selected: &Selected) -> Option<i64> {
        match self.bound {
            Bound::MinAvailable(Amount::Count(count)) => Some(count),
            _ if selected.unscaled > 0 => None,
            Bound::MinAvailable(percent) => Some(percent.of(selected.replicas)),
            Bound::MaxUnavailable(amount) => {
                Some((selected.replicas - amount.of(selected.replicas)).max(0))
            }
        }
    }

    /// `status.disruptionsAllowed`.
    pub fn disruptions_allowed(&self, selected: &Selected) -> i64 {
        let expected = match self.bound {
            Bound::MinAvailable(Amount::Count(_)) => selected.pods,
            _ => selected.replicas,
        };
        match self.desired_healthy(selected) {
            Some(desired) if expected > 0 => (selected.healthy - desired).max(0),
            _ => 0,
        }
    }

    /// It can never allow an eviction, so that Karpenter plans no capacity for its pods.
    pub fn is_fully_blocking(&self) -> bool {
        matches!(
            self.bound,
            Bound::MaxUnavailable(Amount::Count(0) | Amount::Percent(0))
                | Bound::MinAvailable(Amount::Percent(100))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(bound: Bound, healthy: i64, replicas: i64) -> i64 {
        let budget = DisruptionBudget {
            namespace: "default".into(),
            name: "web".into(),
            selector: None,
            bound,
            always_allow_unhealthy: false,
        };
        let selected = Selected { pods: replicas, healthy, replicas, unscaled: 0 };
        budget.disruptions_allowed(&selected)
    }

    /// `disruption.md` 15.5 and `workloads.md`: percentages round up, both of what may be missing and of what must
    /// stay.
    #[test]
    fn allowed_disruptions_follow_the_status_controller() {
        use Amount::{Count, Percent};
        use Bound::{MaxUnavailable, MinAvailable};
        for (bound, healthy, replicas, expected) in [
            (MaxUnavailable(Count(1)), 8, 8, 1),
            (MaxUnavailable(Count(1)), 7, 8, 0),
            (MaxUnavailable(Count(0)), 8, 8, 0),
            (MaxUnavailable(Count(9)), 5, 8, 5),
            (MaxUnavailable(Percent(25)), 7, 7, 2),
            (MaxUnavailable(Percent(100)), 3, 7, 3),
            (MinAvailable(Percent(60)), 7, 7, 2),
            (MinAvailable(Percent(100)), 7, 7, 0),
            (MinAvailable(Count(2)), 5, 5, 3),
            (MinAvailable(Count(2)), 1, 5, 0),
            (MaxUnavailable(Count(1)), 0, 0, 0),
        ] {
            assert_eq!(
                allowed(bound, healthy, replicas),
                expected,
                "{bound:?} {healthy} {replicas}"
            );
        }
    }

    #[test]
    fn pods_without_replicas_to_count_allow_nothing_but_a_number_that_stays() {
        let selected = Selected { pods: 3, healthy: 3, replicas: 0, unscaled: 3 };
        let mut budget = DisruptionBudget {
            namespace: "default".into(),
            name: "job".into(),
            selector: None,
            bound: Bound::MaxUnavailable(Amount::Count(1)),
            always_allow_unhealthy: false,
        };
        assert_eq!(budget.disruptions_allowed(&selected), 0);
        budget.bound = Bound::MinAvailable(Amount::Count(1));
        assert_eq!(budget.disruptions_allowed(&selected), 2);
    }
}
