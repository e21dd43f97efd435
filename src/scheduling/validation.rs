//! Which pending pods Karpenter looks at: the others are ignored, with an event of their own.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/provisioner.go` (`Validate`),
//! `pkg/controllers/provisioning/scheduling/volumetopology.go` (`ValidatePersistentVolumeClaims`).

use crate::kube::label;
use crate::kube::requirement::{Operator, Requirements};
use crate::kube::volume::VolumeClaim;
use crate::world::ClusterView;
use crate::world::cluster::Pod;

/// Why Karpenter ignores a pending pod; `None` when it does not.
pub fn ignored(view: &ClusterView<'_>, pod: &Pod) -> Option<String> {
    let affinity = &pod.class.node_affinity;
    let mut errors: Vec<String> = Vec::new();
    let terms = || std::iter::once(&affinity.selector).chain(&affinity.required);
    let preferred = affinity.preferred.iter().rev().max_by_key(|(weight, _)| *weight);
    let looked_at = std::iter::once(&affinity.selector)
        .chain(preferred.map(|(_, term)| term))
        .chain(affinity.required.first());
    let refuses_pools = |set: &Requirements| {
        set.get(label::NODEPOOL).is_some_and(|r| r.operator() == Operator::DoesNotExist)
    };
    if looked_at.into_iter().any(refuses_pools) {
        errors.push("configured to not run on a Karpenter provisioned node".to_owned());
    }
    for key in terms().flat_map(|term| term.iter().map(|(key, _)| key)) {
        let text = view.symbols.text(key);
        if label::is_restricted(text) {
            errors.push(format!("label {text} is restricted; specify a well known label"));
        }
    }
    errors.extend(unusable_volume(view, pod));
    (!errors.is_empty()).then(|| errors.join("; "))
}

/// The first thing that is wrong with the pod's volumes.
fn unusable_volume(view: &ClusterView<'_>, pod: &Pod) -> Option<String> {
    let storage = &view.cluster.storage;
    pod.class.volumes.iter().find_map(|volume| {
        let name = volume.claim_name(&pod.name);
        let place = format!("(PersistentVolumeClaim={}/{name})", pod.class.namespace);
        match storage.claim(&pod.class.namespace, volume, &pod.name) {
            None => Some(format!("discovering persistent volume claim, not found {place}")),
            Some(claim) => unusable_claim(view, claim).map(|error| format!("{error} {place}")),
        }
    })
}

fn unusable_claim(view: &ClusterView<'_>, claim: &VolumeClaim) -> Option<&'static str> {
    let storage = &view.cluster.storage;
    if claim.deleting {
        return Some("persistentvolumeclaim is being deleted");
    }
    if claim.lost {
        return Some("persistentvolumeclaim bound to non-existent persistentvolume");
    }
    if let Some(volume) = &claim.volume {
        return match storage.volumes.get(volume) {
            None => Some("failed to validate pvc, the persistentvolume does not exist"),
            Some(volume) if volume.deleting => {
                Some("failed to validate pvc, persistentvolume is being deleted")
            }
            Some(_) if !claim.bound => {
                Some("pvc is considered unbound because it does not contain annotation")
            }
            Some(_) => None,
        };
    }
    let class = claim.storage_class.as_ref().filter(|name| !name.is_empty());
    match class.map(|name| storage.classes.get(name)) {
        None => Some("unbound pvc must define a storage class"),
        Some(None) => Some("failed to validate pvc, failed to get storage class"),
        Some(Some(class)) if class.immediate => {
            Some("failed to validate pvc, pvc with immediate volume binding mode must be bound")
        }
        Some(Some(_)) => None,
    }
}
