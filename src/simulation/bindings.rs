//! Invariants of a binding: the hard constraints of the pod and of its neighbours hold for the node that kube-scheduler
//! chose. They are counted anew from the pods on nodes, for each pod as it was when its turn came.
//!
//! Upstream: Kubernetes v1.36 `pkg/scheduler/framework/plugins`.

use std::collections::{BTreeMap, BTreeSet};

use super::invariant::Violation;
use crate::kube::port;
use crate::kube::taint::{Effect, Taint};
use crate::kube::topology::{InclusionPolicy, PodAffinityTerm, SpreadConstraint};
use crate::kube::workload::DaemonSet;
use crate::units::LabelValue;
use crate::world::cluster::{Node, Pod};
use crate::world::journal::Record;
use crate::world::{Fact, World};

/// Checks the bindings among the facts of one event, which left `world` as it is.
pub(super) fn check(world: &World, records: &[Record]) -> Result<(), Violation> {
    let mut later: BTreeSet<u64> = records.iter().filter_map(bound).collect();
    if later.is_empty() {
        return Ok(());
    }
    let pods = world.cluster.pods_by_ordinal.values().map(|id| &world.cluster.pods[*id]);
    let pods = pods.filter(|pod| !pod.is_finished());
    let all: Vec<(&Node, &Pod)> =
        pods.filter_map(|pod| Some((world.cluster.nodes.get(pod.node?)?, pod))).collect();
    for record in records {
        let Some(ordinal) = bound(record) else { continue };
        let Some((node, pod)) = all.iter().find(|(_, pod)| pod.ordinal == ordinal).copied() else {
            continue;
        };
        let there: Vec<_> =
            all.iter().filter(|(_, other)| !later.contains(&other.ordinal)).copied().collect();
        let neighbourhood = Neighbourhood { world, node, pod, there };
        neighbourhood.check().map_err(|violation| {
            format!("{} on {}: {violation} (at {})", pod.full_name(), node.name, record.at)
        })?;
        later.remove(&ordinal);
    }
    Ok(())
}

fn bound(record: &Record) -> Option<u64> {
    match &record.fact {
        Fact::PodBound { pod, .. } => Some(pod.ordinal),
        _ => None,
    }
}

/// A pod, the node that it was bound to, and the pods that were on nodes before.
struct Neighbourhood<'a> {
    world: &'a World,
    node: &'a Node,
    pod: &'a Pod,
    there: Vec<(&'a Node, &'a Pod)>,
}

impl Neighbourhood<'_> {
    fn check(&self) -> Result<(), Violation> {
        let Neighbourhood { node, pod, .. } = self;
        self.has_room()?;
        let hard = |taint: &&Taint| taint.effect != Effect::PreferNoSchedule;
        if let Some(taint) = node.taints.iter().filter(hard).find(|taint| !self.tolerates(taint)) {
            let taint = taint.describe(&self.world.symbols);
            return Err(format!("it does not tolerate {taint}"));
        }
        if !pod.class.node_affinity.matches(&node.labels) {
            return Err("its node affinity wants another node".to_owned());
        }
        for (on, other) in &self.there {
            if on.name == node.name
                && port::conflict(&pod.class.host_ports, &other.class.host_ports)
            {
                return Err(format!("{} has its host port", other.full_name()));
            }
        }
        self.keeps_apart()?;
        self.has_company()?;
        let hard = pod.class.spread.iter().filter(|constraint| constraint.hard);
        hard.into_iter().try_for_each(|constraint| self.is_spread(constraint))
    }

    fn has_room(&self) -> Result<(), Violation> {
        let here = self.there.iter().filter(|(on, _)| on.name == self.node.name);
        let here: Vec<_> = here.map(|(_, pod)| &pod.class.requests).collect();
        for (resource, wanted) in self.pod.class.requests.iter().filter(|(_, wanted)| *wanted > 0) {
            let used: i64 = here.iter().map(|requests| requests.get(resource)).sum();
            let allocatable = self.node.allocatable.get(resource);
            if used + wanted > allocatable {
                return Err(format!("{used} + {wanted} {resource} of {allocatable}"));
            }
        }
        Ok(())
    }

    fn tolerates(&self, taint: &Taint) -> bool {
        let key = self.world.symbols.text(taint.key.symbol);
        let by_kind = self.pod.is_daemon() && DaemonSet::always_tolerates(key, taint.effect);
        by_kind || self.pod.class.tolerates(taint)
    }

    /// True iff a term of `own` means `other`.
    fn means(&self, own: &Pod, term: &PodAffinityTerm, other: &Pod) -> bool {
        let namespaces = &self.world.cluster.namespaces;
        let meant = term.namespaces.resolve(&own.class.namespace, namespaces);
        let selector = term.selector.as_ref();
        meant.contains(&other.class.namespace)
            && selector.is_some_and(|selector| selector.matches(&other.class.labels))
    }

    /// `other` is where the term looks, seen from the chosen node.
    fn is_near(&self, term: &PodAffinityTerm, other: &Node) -> bool {
        let domain = self.node.labels.get(term.key);
        domain.is_some() && other.labels.get(term.key) == domain
    }

    /// Anti-affinity, its own and that of others.
    fn keeps_apart(&self) -> Result<(), Violation> {
        for (on, other) in &self.there {
            let own = &self.pod.class.pod_anti_affinity.required;
            let theirs = &other.class.pod_anti_affinity.required;
            let avoids = |term| self.is_near(term, on) && self.means(self.pod, term, other);
            if own.iter().any(avoids) {
                return Err(format!("its anti-affinity avoids {}", other.full_name()));
            }
            let is_avoided = |term| self.is_near(term, on) && self.means(other, term, self.pod);
            if theirs.iter().any(is_avoided) {
                return Err(format!("the anti-affinity of {} avoids it", other.full_name()));
            }
        }
        Ok(())
    }

    /// Affinity: for each term a pod that all terms mean is near, or it is the first of a series.
    fn has_company(&self) -> Result<(), Violation> {
        let terms = &self.pod.class.pod_affinity.required;
        let is_meant = |other: &Pod| terms.iter().all(|term| self.means(self.pod, term, other));
        let meant = self.there.iter().filter(|(_, other)| is_meant(other));
        let meant: Vec<&Node> = meant.map(|(on, _)| *on).collect();
        let has_keys = terms.iter().all(|term| self.node.labels.get(term.key).is_some());
        let near = |term| meant.iter().any(|on| self.is_near(term, on));
        let is_first = || {
            let known = |on: &&Node| terms.iter().any(|term| on.labels.get(term.key).is_some());
            !meant.iter().any(known) && is_meant(self.pod)
        };
        match has_keys && (terms.iter().all(near) || is_first()) {
            true => Ok(()),
            false => Err("nothing that its affinity wants is near".to_owned()),
        }
    }

    /// The pod's domain is ahead of the emptiest by `maxSkew` at most.
    fn is_spread(&self, constraint: &SpreadConstraint) -> Result<(), Violation> {
        let selector = constraint.selector.as_ref();
        let mut counts: BTreeMap<LabelValue, i64> = BTreeMap::new();
        for id in self.world.cluster.nodes_by_name.values() {
            let node = &self.world.cluster.nodes[*id];
            let domain = node.labels.get(constraint.key);
            if let Some(domain) = domain.filter(|_| self.counts_for(constraint, node)) {
                counts.entry(domain).or_default();
            }
        }
        for (on, other) in &self.there {
            let selected = selector.is_some_and(|selector| {
                !selector.is_empty() && selector.matches(&other.class.labels)
            });
            let counted = selected
                && other.deletion_at.is_none()
                && other.class.namespace == self.pod.class.namespace
                && self.counts_for(constraint, on);
            let domain = on.labels.get(constraint.key).filter(|_| counted);
            if let Some(count) = domain.and_then(|domain| counts.get_mut(&domain)) {
                *count += 1;
            }
        }
        let Some(domain) = self.node.labels.get(constraint.key) else {
            return Err("the node is in no domain of its spread constraint".to_owned());
        };
        let too_few = constraint.min_domains.is_some_and(|least| (counts.len() as i32) < least);
        let emptiest = counts.values().copied().min().filter(|_| !too_few).unwrap_or(0);
        let own = selector.is_some_and(|selector| selector.matches(&self.pod.class.labels));
        let count = counts.get(&domain).copied().unwrap_or(0) + i64::from(own);
        match count - emptiest <= i64::from(constraint.max_skew) {
            true => Ok(()),
            false => Err(format!("{count} in its domain, {emptiest} in the emptiest")),
        }
    }

    /// The node takes part in the counts of a spread constraint.
    fn counts_for(&self, constraint: &SpreadConstraint, node: &Node) -> bool {
        let class = &self.pod.class;
        let hard = class.spread.iter().filter(|constraint| constraint.hard);
        let has_keys = hard.into_iter().all(|other| node.labels.get(other.key).is_some());
        let wants = constraint.node_affinity == InclusionPolicy::Ignore
            || class.node_affinity.matches(&node.labels);
        let tolerates =
            |taint: &Taint| taint.effect == Effect::PreferNoSchedule || class.tolerates(taint);
        let is_open =
            constraint.node_taints == InclusionPolicy::Ignore || node.taints.iter().all(tolerates);
        has_keys && wants && is_open
    }
}
