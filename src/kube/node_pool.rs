//! NodePools: template, limits, weight, disruption block with budgets.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/v1/nodepool.go`.

use super::label::Labels;
use super::requirement::Requirements;
use super::schedule::Schedule;
use super::taint::Taint;
use crate::units::{LabelValue, ResourceVec, SimDuration};

/// Allowed disruptions of a pool that no budget restrains.
pub const UNLIMITED: i64 = 2_147_483_647;

/// A NodePool of `karpenter.sh/v1`, defaults applied.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePool {
    /// `metadata.name`.
    pub name: LabelValue,
    /// `spec.template`.
    pub template: NodeClaimTemplate,
    /// `spec.disruption`.
    pub disruption: Disruption,
    /// `spec.limits`; `None` without limits. `nodes` is an entry like any other.
    pub limits: Option<ResourceVec>,
    /// `spec.weight`, 0 when absent.
    pub weight: i32,
    /// `spec.replicas`: a static NodePool keeps so many nodes, whatever the pods need.
    pub replicas: Option<i64>,
}

impl NodePool {
    /// A NodePool without labels, taints, requirements and rules: nothing of it is ever disrupted. Its EC2NodeClass has
    /// the same name.
    pub fn bare(name: LabelValue) -> NodePool {
        NodePool {
            name,
            template: NodeClaimTemplate {
                labels: Labels::default(),
                requirements: Requirements::default(),
                taints: Vec::new(),
                startup_taints: Vec::new(),
                node_class: name,
                expire_after: None,
                termination_grace_period: None,
                drift_fields: String::new(),
            },
            disruption: Disruption {
                consolidate_after: None,
                policy: ConsolidationPolicy::WhenEmpty,
                budgets: Vec::new(),
            },
            limits: None,
            weight: 0,
            replicas: None,
        }
    }
}

/// What a NodePool's nodes are made from.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeClaimTemplate {
    /// `metadata.labels`.
    pub labels: Labels,
    /// `spec.requirements`, one entry a key.
    pub requirements: Requirements,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// `spec.startupTaints`.
    pub startup_taints: Vec<Taint>,
    /// `spec.nodeClassRef.name`.
    pub node_class: LabelValue,
    /// `spec.expireAfter`; `None` is `Never`.
    pub expire_after: Option<SimDuration>,
    /// `spec.terminationGracePeriod`; `None` waits for ever.
    pub termination_grace_period: Option<SimDuration>,
    /// A canonical text of the fields that enter the drift hash.
    pub drift_fields: String,
}

/// `spec.disruption`.
#[derive(Clone, Debug, PartialEq)]
pub struct Disruption {
    /// `consolidateAfter`; `None` is `Never`.
    pub consolidate_after: Option<SimDuration>,
    /// `consolidationPolicy`.
    pub policy: ConsolidationPolicy,
    /// `budgets`; an empty list restrains nothing.
    pub budgets: Vec<Budget>,
}

/// When Karpenter consolidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsolidationPolicy {
    /// Only empty nodes go.
    WhenEmpty,
    /// Also underutilised nodes go, whenever something cheaper is found.
    WhenEmptyOrUnderutilized,
    /// As `WhenEmptyOrUnderutilized`, but a move must save in proportion to the pods that it disturbs.
    Balanced,
}

impl ConsolidationPolicy {
    /// All policies, in the order of the CRD.
    pub const ALL: [ConsolidationPolicy; 3] = [
        ConsolidationPolicy::WhenEmpty,
        ConsolidationPolicy::WhenEmptyOrUnderutilized,
        ConsolidationPolicy::Balanced,
    ];

    /// The policy's name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            ConsolidationPolicy::WhenEmpty => "WhenEmpty",
            ConsolidationPolicy::WhenEmptyOrUnderutilized => "WhenEmptyOrUnderutilized",
            ConsolidationPolicy::Balanced => "Balanced",
        }
    }
}

/// Why a node is disrupted voluntarily.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No pod on it costs anything to move.
    Empty,
    /// It no longer is what its NodePool asks for.
    Drifted,
    /// Its pods fit elsewhere, or on a cheaper node.
    Underutilized,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 3] = [Reason::Empty, Reason::Drifted, Reason::Underutilized];

    /// The reason's name in manifests and events.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Empty => "Empty",
            Reason::Drifted => "Drifted",
            Reason::Underutilized => "Underutilized",
        }
    }
}

/// One disruption budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// How many nodes may be disrupted at once.
    pub nodes: BudgetNodes,
    /// When it is in force; `None` is always.
    pub schedule: Option<Schedule>,
    /// The reasons it restrains; `None` restrains all, an empty list none.
    pub reasons: Option<Vec<Reason>>,
}

/// `budgets[].nodes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetNodes {
    /// A number of nodes.
    Count(i64),
    /// A percentage of the pool's nodes, rounded up.
    Percent(i64),
}

impl BudgetNodes {
    /// The number of nodes out of `total`.
    pub fn of(self, total: i64) -> i64 {
        match self {
            BudgetNodes::Count(count) => count,
            BudgetNodes::Percent(percent) => (percent * total + 99) / 100,
        }
    }
}

/// Disruptions that `budgets` allow for `reason` in a pool of `total` nodes, those already under way not yet
/// subtracted. `now_epoch_ms` is in milliseconds since 1970-01-01 UTC.
///
/// Schedules that Karpenter could not parse, for which it allows nothing, are refused when manifests are read.
pub fn allowed_disruptions(
    budgets: &[Budget],
    reason: Reason,
    total: i64,
    now_epoch_ms: i64,
) -> i64 {
    let restrains = |budget: &&Budget| {
        budget.reasons.as_ref().is_none_or(|reasons| reasons.contains(&reason))
            && budget.schedule.as_ref().is_none_or(|schedule| schedule.is_active(now_epoch_ms))
    };
    let limits = budgets.iter().filter(restrains).map(|budget| budget.nodes.of(total));
    limits.fold(UNLIMITED, i64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(nodes: BudgetNodes, reasons: Option<Vec<Reason>>) -> Budget {
        Budget { nodes, schedule: None, reasons }
    }

    /// `disruption.md` 20 and A23 of `questions.md` 4.1.
    #[test]
    fn budgets_round_up_and_combine_by_minimum() {
        let percent = |percent: i64| budget(BudgetNodes::Percent(percent), None);
        for (total, p, expected) in [(10, 10, 1), (11, 10, 2), (1, 10, 1), (19, 20, 4), (0, 10, 0)]
        {
            assert_eq!(allowed_disruptions(&[percent(p)], Reason::Empty, total, 0), expected);
        }
        let mixed = [
            percent(10),
            budget(BudgetNodes::Count(5), Some(vec![Reason::Drifted])),
            budget(BudgetNodes::Count(0), Some(vec![])),
        ];
        assert_eq!(allowed_disruptions(&mixed, Reason::Empty, 100, 0), 10);
        assert_eq!(allowed_disruptions(&mixed, Reason::Drifted, 100, 0), 5);
        assert_eq!(allowed_disruptions(&[], Reason::Empty, 100, 0), UNLIMITED);
        // A23 of `questions.md` 4.1: 20 % of 19 nodes are four; a count of 5 is less than 20 % from 26 nodes on.
        let both = [percent(20), budget(BudgetNodes::Count(5), None)];
        for (total, expected) in [(19, 4), (20, 4), (21, 5), (25, 5), (26, 5), (100, 5)] {
            assert_eq!(allowed_disruptions(&both, Reason::Empty, total, 0), expected, "{total}");
        }
        assert_eq!(allowed_disruptions(&both[..1], Reason::Empty, 26, 0), 6);
    }

    /// `disruption.md` 20: nothing is consolidated during working hours; the 3rd of August 2026 is a Monday.
    #[test]
    fn a_budget_holds_while_its_window_is_open() {
        let eight_hours = SimDuration::from_minutes(8 * 60);
        let schedule = Schedule::parse("0 9 * * mon-fri", eight_hours).expect("a schedule");
        let working_hours = Budget {
            nodes: BudgetNodes::Count(0),
            schedule: Some(schedule),
            reasons: Some(vec![Reason::Underutilized]),
        };
        let budgets = [budget(BudgetNodes::Percent(10), None), working_hours];
        for (now, reason, expected) in [
            ("2026-08-03T08:59:59.999Z", Reason::Underutilized, 10),
            ("2026-08-03T09:00:00Z", Reason::Underutilized, 0),
            ("2026-08-03T09:00:00Z", Reason::Empty, 10),
            ("2026-08-03T16:59:59.999Z", Reason::Underutilized, 0),
            ("2026-08-03T17:00:00Z", Reason::Underutilized, 10),
            ("2026-08-02T09:00:00Z", Reason::Underutilized, 10),
        ] {
            let now = now.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
            assert_eq!(allowed_disruptions(&budgets, reason, 100, now), expected);
        }
    }

    fn scheduled(nodes: BudgetNodes, cron: &str, hours: i64, reasons: &[Reason]) -> Budget {
        let duration = SimDuration::from_minutes(hours * 60);
        let schedule = Schedule::parse(cron, duration).expect("a schedule");
        let reasons = (!reasons.is_empty()).then(|| reasons.to_vec());
        Budget { nodes, schedule: Some(schedule), reasons }
    }

    fn allowed(budgets: &[Budget], reason: Reason, now: &str) -> i64 {
        let now = now.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
        allowed_disruptions(budgets, reason, 200, now)
    }

    /// B7 of `questions.md` 4.2: a reason that no open window names is not restrained at all.
    #[test]
    fn budgets_by_reason_leave_other_reasons_without_limit() {
        let fifth = BudgetNodes::Percent(20);
        let both = [Reason::Underutilized, Reason::Empty];
        let budgets = [
            scheduled(fifth, "0 6 * * *", 20, &[Reason::Empty]),
            scheduled(fifth, "0 2 * * *", 4, &both),
        ];
        for (now, underutilized) in [
            ("2026-08-03T06:00:00Z", UNLIMITED),
            ("2026-08-03T12:00:00Z", UNLIMITED),
            ("2026-08-04T01:59:59Z", UNLIMITED),
            ("2026-08-04T02:00:00Z", 40),
            ("2026-08-04T05:59:59Z", 40),
        ] {
            assert_eq!(allowed(&budgets, Reason::Underutilized, now), underutilized, "{now}");
            assert_eq!(allowed(&budgets, Reason::Empty, now), 40, "{now}");
        }
    }

    /// B8 of `questions.md` 4.2: the budgets bound how many nodes go at once, not how many go in an hour.
    #[test]
    fn budgets_bound_concurrency() {
        let budgets = [
            budget(BudgetNodes::Count(1), None),
            scheduled(BudgetNodes::Percent(1), "@hourly", 1, &[]),
            scheduled(BudgetNodes::Count(0), "0 9 * * *", 17, &[]),
        ];
        for (now, expected) in [
            ("2026-08-03T08:59:59Z", 1),
            ("2026-08-03T09:00:00Z", 0),
            ("2026-08-04T01:59:59Z", 0),
            ("2026-08-04T02:00:00Z", 1),
        ] {
            assert_eq!(allowed(&budgets, Reason::Underutilized, now), expected, "{now}");
        }
    }
}
