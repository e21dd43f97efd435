//! Volumes of pods: where they let a pod go, and what they add to a node.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/volumetopology.go`,
//! `pkg/scheduling/volumeusage.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::requirement_set::{RequirementSets, SetId};
use crate::kube::Requirements;
use crate::kube::volume::{Storage, VolumeClaim};
use crate::world::ClusterView;
use crate::world::cluster::Pod;

/// A PersistentVolumeClaim by namespace and name.
type ClaimKey = (Arc<str>, Arc<str>);

/// What the volumes of one pod ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct VolumeDemand {
    /// Alternatives, one of which the node must satisfy; empty restricts nothing.
    pub(super) alternatives: Vec<SetId>,
    /// Claims with the driver that attaches them.
    attached: Vec<(Arc<str>, ClaimKey)>,
    /// A claim does not exist: no existing node takes the pod.
    pub(super) unresolved: bool,
}

impl VolumeDemand {
    /// The demand of a pod.
    pub(super) fn of(
        view: &ClusterView<'_>,
        pod: &Pod,
        sets: &mut RequirementSets,
    ) -> VolumeDemand {
        let storage = &view.cluster.storage;
        let mut demand = VolumeDemand::default();
        let mut alternatives: Vec<Requirements> = Vec::new();
        for volume in &pod.class.volumes {
            let key = (pod.class.namespace.clone(), volume.claim_name(&pod.name));
            let Some(claim) = storage.claims.get(&key) else {
                demand.unresolved = true;
                continue;
            };
            if let Some(driver) = storage.driver(claim) {
                demand.attached.push((driver.clone(), key));
            }
            let terms = topologies(storage, claim);
            if !terms.is_empty() {
                alternatives = cross(&alternatives, terms);
            }
        }
        demand.alternatives = alternatives.into_iter().map(|set| sets.intern(set)).collect();
        demand
    }
}

/// The alternatives of one claim: those of its volume, or of its class while it is unbound.
fn topologies<'a>(storage: &'a Storage, claim: &VolumeClaim) -> &'a [Requirements] {
    let volume = claim.volume.as_ref();
    let found = match volume {
        Some(volume) => storage.volumes.get(volume).map(|volume| &volume.topologies),
        None => {
            let class = claim.storage_class.as_ref();
            class.and_then(|class| storage.classes.get(class)).map(|class| &class.topologies)
        }
    };
    found.map_or(&[], Vec::as_slice)
}

/// All pairs, merged; those that contradict themselves are left out unless all do.
fn cross(left: &[Requirements], right: &[Requirements]) -> Vec<Requirements> {
    if left.is_empty() {
        return right.to_vec();
    }
    let pairs = || left.iter().flat_map(|a| right.iter().map(move |b| (a, b)));
    let merge = |(a, b): (&Requirements, &Requirements)| {
        let mut both = a.clone();
        both.add_all(b);
        both
    };
    let sound: Vec<Requirements> = pairs().filter(|(a, b)| a.intersects(b)).map(merge).collect();
    if sound.is_empty() { pairs().map(merge).collect() } else { sound }
}

/// Volumes attached to an existing node with known limits.
#[derive(Clone, Debug, Default)]
pub(super) struct Attachments {
    limits: Vec<(Arc<str>, usize)>,
    attached: BTreeMap<Arc<str>, BTreeSet<ClaimKey>>,
}

impl Attachments {
    /// The attachments of a node: `None` when nothing limits them.
    pub(super) fn of(view: &ClusterView<'_>, node: &str, pods: &[&Pod]) -> Option<Attachments> {
        let storage = &view.cluster.storage;
        let limits = storage.attach_limits.get(node)?.clone();
        let mut attachments = Attachments { limits, ..Attachments::default() };
        for pod in pods {
            for volume in &pod.class.volumes {
                let key = (pod.class.namespace.clone(), volume.claim_name(&pod.name));
                let claim = storage.claims.get(&key);
                if let Some(driver) = claim.and_then(|claim| storage.driver(claim)) {
                    attachments.attached.entry(driver.clone()).or_default().insert(key);
                }
            }
        }
        Some(attachments)
    }

    /// True iff some driver would have more volumes than the node can attach.
    pub(super) fn exceeds(&self, demand: &VolumeDemand) -> bool {
        self.limits.iter().any(|(driver, limit)| {
            let attached = self.attached.get(driver);
            let new: BTreeSet<&ClaimKey> = (demand.attached.iter())
                .filter(|(d, key)| d == driver && !attached.is_some_and(|set| set.contains(key)))
                .map(|(_, key)| key)
                .collect();
            attached.map_or(0, BTreeSet::len) + new.len() > *limit
        })
    }

    /// The pod's volumes are attached.
    pub(super) fn add(&mut self, demand: &VolumeDemand) {
        for (driver, key) in &demand.attached {
            self.attached.entry(driver.clone()).or_default().insert(key.clone());
        }
    }
}
