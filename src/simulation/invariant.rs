//! Invariants, checked after every event in tests and under `--invariants`. They know the truth independently of the
//! indexes that the model keeps.

use std::collections::BTreeMap;

use crate::kube::node_pool::{self, Reason};
use crate::units::{Lane, ResourceVec, SimTime};
use crate::world::cluster::Owner;
use crate::world::journal::CommandRef;
use crate::world::{Event, PodId, World};

/// A broken invariant: what, and where.
pub type Violation = String;

type Check = fn(&World) -> Result<(), Violation>;

/// Checks the whole world.
pub fn check(world: &World, at: SimTime, event: &Event) -> Result<(), Violation> {
    let checks: [Check; 5] =
        [pods_fit, usage_is_conserved, no_pod_is_lost, claims_are_consistent, nothing_in_the_past];
    checks
        .into_iter()
        .try_for_each(|check| check(world))
        .map_err(|violation| format!("{violation} (after {event:?} at {at})"))
}

/// Bound pods fit their node: the sum of their requests is at most its allocatable.
fn pods_fit(world: &World) -> Result<(), Violation> {
    for (name, id) in &world.cluster.nodes_by_name {
        let node = &world.cluster.nodes[*id];
        let sum = sum_of_requests(world, &node.pods);
        let beyond = sum.iter().find(|(name, used)| *used > node.allocatable.get(name));
        if let Some((resource, used)) = beyond {
            let allocatable = node.allocatable.get(resource);
            return Err(format!("node {name}: {used} {resource} of {allocatable} requested"));
        }
    }
    Ok(())
}

fn sum_of_requests(world: &World, pods: &[PodId]) -> ResourceVec {
    let mut sum = ResourceVec::default();
    let pods = pods.iter().map(|pod| &world.cluster.pods[*pod]).filter(|pod| !pod.is_finished());
    pods.for_each(|pod| sum.add(&pod.class.requests));
    sum
}

/// The usage that nodes carry along equals the sum over their pods.
fn usage_is_conserved(world: &World) -> Result<(), Violation> {
    for (name, id) in &world.cluster.nodes_by_name {
        let node = &world.cluster.nodes[*id];
        let sum = sum_of_requests(world, &node.pods);
        let differs = |lane: &Lane| sum.lane(*lane) != node.used.lane(*lane);
        if let Some(lane) = Lane::ALL.iter().find(|lane| differs(lane)) {
            return Err(format!("node {name}: usage of {} is off", lane.name()));
        }
    }
    Ok(())
}

/// Every pod is on a node that knows it, or in the one list of those that wait for a node. Deployments and Jobs list
/// their active pods, and nothing else.
fn no_pod_is_lost(world: &World) -> Result<(), Violation> {
    let cluster = &world.cluster;
    let mut live: BTreeMap<(bool, usize), Vec<PodId>> = BTreeMap::new();
    let mut waiting = 0;
    for id in cluster.pods_by_ordinal.values() {
        let Some(pod) = cluster.pods.get(*id) else {
            return Err("a pod that is gone is still listed".to_owned());
        };
        let key = (-i64::from(pod.class.priority), pod.ordinal);
        let waits_in = |list: &BTreeMap<(i64, u64), PodId>| list.get(&key) == Some(id);
        let waits = (waits_in(&cluster.pending), waits_in(&cluster.pending_daemons));
        waiting += usize::from(waits.0) + usize::from(waits.1);
        let kept = match pod.node.map(|node| cluster.nodes.get(node)) {
            None => waits == (!pod.is_daemon(), pod.is_daemon()),
            Some(node) => waits == (false, false) && node.is_some_and(|n| n.pods.contains(id)),
        };
        if !kept {
            return Err(format!("pod {} is neither pending nor on its node", pod.full_name()));
        }
        match pod.owner {
            Owner::Deployment(index) if pod.is_active() => live.entry((false, index)).or_default(),
            Owner::Job(index) if pod.is_active() => live.entry((true, index)).or_default(),
            _ => continue,
        }
        .push(*id);
    }
    if waiting != cluster.pending.len() + cluster.pending_daemons.len() {
        return Err("a pod that is gone still waits for a node".to_owned());
    }
    let deployments = cluster.deployments.iter().map(|d| (&d.spec.name, &d.live)).enumerate();
    let jobs = cluster.jobs.iter().map(|job| (&job.spec.name, &job.live)).enumerate();
    let lists = deployments.map(|list| (false, list)).chain(jobs.map(|list| (true, list)));
    for (is_job, (index, (name, listed))) in lists {
        if live.get(&(is_job, index)).map_or(&[][..], Vec::as_slice) != listed {
            return Err(format!("{name} lists other pods than its own"));
        }
    }
    Ok(())
}

/// Counts and links between NodeClaims and Nodes.
fn claims_are_consistent(world: &World) -> Result<(), Violation> {
    let cluster = &world.cluster;
    let claims = cluster.claims_by_name.values().map(|id| &cluster.claims[*id]);
    let unlaunched = claims.clone().filter(|claim| claim.instance.is_none()).count();
    if unlaunched != cluster.unlaunched_count {
        return Err(format!(
            "{unlaunched} unlaunched NodeClaims, {} counted",
            cluster.unlaunched_count
        ));
    }
    let leaving =
        cluster.claims_by_name.iter().filter(|(_, id)| cluster.claims[**id].is_deleting());
    if !leaving.eq(&cluster.leaving) {
        return Err("the list of NodeClaims on their way out is not true".to_owned());
    }
    for (name, id) in &cluster.nodes_by_name {
        let claim = cluster.claims.get(cluster.nodes[*id].claim);
        if claim.and_then(|claim| claim.node) != Some(*id) {
            return Err(format!("node {name} and its NodeClaim disagree"));
        }
    }
    Ok(())
}

/// No event in the past.
fn nothing_in_the_past(world: &World) -> Result<(), Violation> {
    match world.queue.next_at() {
        Some(next) if next < world.now() => Err(format!("an event at {next} in the past")),
        _ => Ok(()),
    }
}

/// Budgets: candidates of a command per pool against what the budgets allow, all counted from the nodes themselves.
/// Checked in the instant in which a command starts, with its candidates already marked. Of other pools more nodes may
/// be on their way: budgets bind neither expiry nor interruptions, and each reason has its own.
pub fn check_budgets(world: &World, command: &CommandRef) -> Result<(), Violation> {
    let Some(reason) = Reason::ALL.into_iter().find(|known| known.name() == command.reason) else {
        return Ok(());
    };
    let mut counts: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
    for (_, claim) in world.view().state_nodes() {
        if claim.is_initialized() && !claim.is_instance_terminating() {
            let (total, disrupting) = counts.entry(claim.pool).or_default();
            *total += 1;
            *disrupting += i64::from(claim.marked_for_deletion);
        }
    }
    for (pool, (total, disrupting)) in counts {
        let pool = &world.cluster.pools[pool];
        let name = world.symbols.text(pool.spec.name.symbol);
        if !command.candidates.iter().any(|(claim, ..)| *claim.pool == *name) {
            continue;
        }
        let budgets = &pool.spec.disruption.budgets;
        let allowed =
            node_pool::allowed_disruptions(budgets, reason, total, world.view().now_epoch_ms());
        if disrupting > allowed {
            return Err(format!("{disrupting} of {total} nodes disrupted, {allowed} allowed"));
        }
    }
    Ok(())
}
