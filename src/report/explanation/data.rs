//! The figures of an account, for programs. Prices are USD per hour.

use serde_json::{Value, json};

use crate::outcome::Verdict;
use crate::world::account::{Passed, Plan, Weighed, WhatIf};

fn reason(passed: &Passed) -> Value {
    json!({ "rule": passed.rule, "message": passed.message.as_ref() })
}

/// A candidate.
pub(super) fn candidate(weighed: &Weighed) -> Value {
    json!({
        "candidate": weighed.node.as_ref(),
        "pool": weighed.pool.as_ref(),
        "instance_type": weighed.instance_type.as_ref(),
        "capacity_type": weighed.capacity_type,
        "price": weighed.price,
        "pods": weighed.pods,
        "reschedule_cost": weighed.reschedule_cost,
        "passed": weighed.passed.as_ref().map(reason),
    })
}

/// A what-if.
pub(super) fn what_if(what_if: &WhatIf) -> Value {
    let existing =
        what_if.existing.iter().map(|(node, pods)| json!({ "node": node.as_ref(), "pods": pods }));
    let scores = what_if.scores.iter().map(|score| {
        json!({ "pool": score.pool.as_ref(), "score": score.score, "threshold": score.threshold })
    });
    json!({
        "without": what_if.nodes.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        "price": what_if.paid,
        "existing": existing.collect::<Vec<_>>(),
        "new_nodes": what_if.plans.iter().map(plan).collect::<Vec<_>>(),
        "savings": what_if.savings,
        "scores": scores.collect::<Vec<_>>(),
        "refusal": what_if.refusal.as_ref().map(reason),
    })
}

fn plan(plan: &Plan) -> Value {
    let cheapest = plan.cheapest.iter();
    let cheapest = cheapest.map(|(name, price)| {
        // A type without a launchable offering has no price.
        json!({ "instance_type": name.as_ref(), "price": (*price < f64::MAX).then_some(price) })
    });
    json!({
        "pool": plan.pool.as_ref(),
        "pods": plan.pods,
        "instance_types": plan.type_count,
        "cheapest": cheapest.collect::<Vec<_>>(),
    })
}

/// Why a node stays, by method; the method of what holds for all is null.
pub(super) fn verdicts(verdicts: &[Verdict]) -> Value {
    let list = verdicts.iter().map(|verdict| {
        json!({
            "method": verdict.method,
            "reason": reason(&verdict.passed),
            "what_if": verdict.what_if.as_ref().map(what_if),
        })
    });
    Value::Array(list.collect())
}
