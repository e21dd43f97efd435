//! Provisioning passes: the provisioner's own decision compared at the six levels of the recordings.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::case::Case;
use super::outcome::{Claim, PRICE_TOLERANCE, pod_names, texts};
use super::report::{Check, Outcome, difference};
use super::snapshot::Snapshot;
use super::{NotComparable, Options};
use crate::karpenter::provisioner;
use crate::scheduling::{self, Purpose, Solution, Templates};
use crate::world::PodId;

/// The levels, from the loosest to the strictest.
pub const LEVELS: [&str; 6] =
    ["1 placed", "2 unschedulable", "3 summary", "4 claims", "5 options", "6 requirements"];

/// A provisioning pass, ready to be decided as often as one likes.
pub struct ProvisioningPass {
    snapshot: Snapshot,
    templates: Templates,
    pods: Vec<PodId>,
}

impl ProvisioningPass {
    /// Reads a case, as the recordings write it.
    pub fn read(case: &Value) -> Result<ProvisioningPass, NotComparable> {
        let snapshot = super::snapshot::read(Case::of(case)?)?;
        let view = snapshot.world.view();
        let (templates, pods) = (Templates::build(&view), provisioner::pods_to_place(&view));
        Ok(ProvisioningPass { snapshot, templates, pods })
    }

    /// One Solve.
    pub fn solve(&self) -> Solution {
        scheduling::solve(
            &self.snapshot.world.view(),
            &self.templates,
            &self.pods,
            Purpose::Provision,
        )
    }
}

/// What a pass decided.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pass {
    /// Ascending by the first pod.
    pub(super) claims: Vec<Claim>,
    /// Pods by node.
    pub(super) existing: BTreeMap<String, Vec<String>>,
    /// Karpenter's words by pod.
    pub(super) errors: BTreeMap<String, String>,
    pub(super) unschedulable: BTreeSet<String>,
}

/// Replays a case.
pub(super) fn replay(
    snapshot: Snapshot,
    recorded: Option<&Value>,
    options: &Options<'_>,
) -> Result<Outcome, NotComparable> {
    let (found, nanoseconds) = decide(&snapshot, options);
    let times = vec![("solve", nanoseconds)];
    let Some(recorded) = recorded else {
        let text = format!(
            "{} NodeClaims, {} pods on existing nodes, {} unschedulable",
            found.claims.len(),
            found.existing.values().map(Vec::len).sum::<usize>(),
            found.unschedulable.len()
        );
        return Ok(Outcome::Unrecorded { text, times });
    };
    let expected = read(recorded)?;
    let checks = [
        difference("pods", &placed(&expected), &placed(&found)),
        difference("unschedulable", &expected.unschedulable, &found.unschedulable),
        summary(&expected, &found),
        assignment(&expected, &found),
        each_claim(&expected, &found, |claim| format!("{:?}", claim.options)),
        each_claim(&expected, &found, |claim| {
            format!("requests {:?}, requirements {:#?}", claim.requests, claim.requirements)
        }),
    ];
    let checks = LEVELS.into_iter().zip(checks);
    let checks = checks.map(|(name, difference)| Check { name, difference }).collect();
    Ok(Outcome::Compared { checks, parts: Vec::new(), times })
}

/// Asks the provisioner, as it does when a batch ends.
pub(super) fn decide(snapshot: &Snapshot, options: &Options<'_>) -> (Pass, u64) {
    let view = snapshot.world.view();
    let templates = Templates::build(&view);
    let pods = provisioner::pods_to_place(&view);
    let start = options.time();
    let mut solution = scheduling::solve(&view, &templates, &pods, Purpose::Provision);
    let nanoseconds = options.time() - start;
    provisioner::pin_capacity_types(&view, &mut solution);
    let mut pass = Pass::default();
    for plan in &solution.claims {
        pass.claims.push(Claim::planned(&view, plan));
    }
    pass.claims.sort_by(|a, b| a.pods.cmp(&b.pods));
    for placement in &solution.existing {
        let name = view.cluster.claims[placement.claim].name.to_string();
        pass.existing.insert(name, pod_names(&view, &placement.pods));
    }
    let ignored = provisioner::ignored_pods(&view);
    for (pod, error) in solution.unplaced.iter().chain(&solution.deferred).chain(&ignored) {
        let name = view.cluster.pods[*pod].full_name();
        pass.unschedulable.insert(name.clone());
        pass.errors.insert(name, error.clone());
    }
    (pass, nanoseconds)
}

fn read(recorded: &Value) -> Result<Pass, NotComparable> {
    let claims = recorded["newNodeClaims"].as_array().into_iter().flatten();
    let mut claims: Vec<Claim> = claims.map(Claim::recorded).collect::<Result<_, _>>()?;
    claims.sort_by(|a, b| a.pods.cmp(&b.pods));
    let existing = recorded["existingNodes"].as_object().into_iter().flatten();
    let errors = recorded["podErrors"].as_object().into_iter().flatten();
    Ok(Pass {
        claims,
        existing: existing.map(|(name, pods)| (name.clone(), texts(pods))).collect(),
        errors: errors
            .map(|(pod, error)| (pod.clone(), error.as_str().unwrap_or_default().to_owned()))
            .collect(),
        unschedulable: texts(&recorded["summary"]["unschedulable"]).into_iter().collect(),
    })
}

/// Every pod as often as it is placed or refused.
fn placed(pass: &Pass) -> Vec<&str> {
    let claims = pass.claims.iter().flat_map(|claim| &claim.pods);
    let pods = claims.chain(pass.existing.values().flatten()).chain(pass.errors.keys());
    let mut pods: Vec<&str> = pods.map(String::as_str).collect();
    pods.sort_unstable();
    pods
}

/// Number of claims, launch price, and how many claims of which shape.
fn summary(expected: &Pass, found: &Pass) -> Option<String> {
    let price = |pass: &Pass| -> f64 {
        pass.claims.iter().filter_map(|claim| claim.launch.as_ref()).map(|l| l.price).sum()
    };
    let shape = |pass: &Pass| {
        let mut shape: BTreeMap<String, usize> = BTreeMap::new();
        for claim in &pass.claims {
            let launch = claim.launch.as_ref();
            let launch = launch
                .map_or(String::new(), |l| format!("{} {}", l.instance_type, l.capacity_type));
            let pods = claim.pods.len();
            *shape.entry(format!("{} {launch}, {pods} pods", claim.nodepool)).or_default() += 1;
        }
        shape
    };
    let text = |pass: &Pass| {
        let on_existing: usize = pass.existing.values().map(Vec::len).sum();
        format!(
            "{} claims at {:.6} USD/h, {on_existing} pods on existing nodes, {:?}",
            pass.claims.len(),
            price(pass),
            shape(pass)
        )
    };
    let near = (price(expected) - price(found)).abs() <= PRICE_TOLERANCE;
    let on_existing = |pass: &Pass| pass.existing.values().map(Vec::len).sum::<usize>();
    let equal = near
        && shape(expected) == shape(found)
        && on_existing(expected) == on_existing(found)
        && expected.unschedulable == found.unschedulable;
    (!equal).then(|| format!("expected {}\n   found {}", text(expected), text(found)))
}

fn assignment(expected: &Pass, found: &Pass) -> Option<String> {
    let claims = |pass: &Pass| -> Vec<String> {
        let launch = |claim: &Claim| {
            claim.launch.as_ref().map_or_else(|| "no launch".to_owned(), ToString::to_string)
        };
        let line = |claim: &Claim| {
            format!("{} {} [{}]", claim.nodepool, launch(claim), claim.pods.join(" "))
        };
        pass.claims.iter().map(line).collect()
    };
    difference("claims", &claims(expected), &claims(found))
        .or_else(|| difference("existing nodes", &expected.existing, &found.existing))
}

/// Compares something of the claims that have the same pods.
fn each_claim(expected: &Pass, found: &Pass, part: impl Fn(&Claim) -> String) -> Option<String> {
    for claim in &expected.claims {
        let Some(other) = found.claims.iter().find(|other| other.pods == claim.pods) else {
            return Some(format!("no claim with the pods [{}]", claim.pods.join(" ")));
        };
        if part(claim) != part(other) {
            let first = claim.pods.first().map_or("", String::as_str);
            return Some(format!(
                "claim of {first}\nexpected {}\n   found {}",
                part(claim),
                part(other)
            ));
        }
    }
    (expected.claims.len() != found.claims.len()).then(|| "other claims too".to_owned())
}
