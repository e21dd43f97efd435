//! Mutators of storage objects: claims of ephemeral volumes, the binding of claims that wait for their first pod, and
//! how long volumes stay attached.
//!
//! Upstream: Kubernetes v1.36 `pkg/controller/volume/ephemeral`, `pkg/scheduler/framework/plugins/volumebinding`.
//!
//! DEVIATION: volumes are provisioned in the instant of binding, in the zone of the node, and attach limits are known
//! of nodes with a CSINode object alone: new nodes get none.

use std::sync::Arc;

use super::World;
use super::cluster::{NodeId, Pod, PodId};
use crate::engine::Purpose;
use crate::kube::label;
use crate::kube::requirement::{Requirement, Requirements};
use crate::kube::volume::{PodVolume, Volume, VolumeClaim};
use crate::units::SimDuration;

impl World {
    /// Creates the claims of a new pod's ephemeral volumes.
    pub(super) fn create_ephemeral_claims(&mut self, id: PodId) {
        let pod = &self.cluster.pods[id];
        let storage = &mut self.cluster.storage;
        for volume in &pod.class.volumes {
            let PodVolume::Ephemeral { storage_class, .. } = volume else {
                continue;
            };
            let default = || storage.default_class().map(|class| class.name.clone());
            let storage_class = storage_class.clone().or_else(default);
            let claim = VolumeClaim { storage_class, ..VolumeClaim::default() };
            let key = (pod.class.namespace.clone(), volume.claim_name(&pod.name));
            storage.claims.entry(key).or_insert(claim);
        }
    }

    /// Binds a pod's unbound claims to new volumes in the zone of its node.
    pub(super) fn bind_volumes(&mut self, id: PodId, node: NodeId) {
        let pod = &self.cluster.pods[id];
        let zone = self.cluster.nodes[node].labels.get(label::ZONE);
        let storage = &mut self.cluster.storage;
        for volume in &pod.class.volumes {
            let key = (pod.class.namespace.clone(), volume.claim_name(&pod.name));
            let Some(claim) = storage.claims.get(&key).filter(|claim| claim.volume.is_none())
            else {
                continue;
            };
            let driver = storage.driver(claim).cloned();
            let name: Arc<str> = format!("pvc-{}-{}", key.0, key.1).into();
            let zones =
                zone.map(|zone| Requirements::from_iter([(label::ZONE, Requirement::is(zone))]));
            let topologies = zones.into_iter().collect();
            storage.volumes.insert(name.clone(), Volume { driver, topologies, deleting: false });
            if let Some(claim) = storage.claims.get_mut(&key) {
                (claim.volume, claim.bound) = (Some(name), true);
            }
        }
    }

    /// The volumes of a pod that is gone stay attached to its node for a while.
    pub(super) fn detach_volumes(&mut self, pod: &Pod) {
        if pod.class.volumes.is_empty() {
            return;
        }
        let detach = &self.settings.latency.detach;
        let span = self.streams.sample(detach, Purpose::VolumeDetach, pod.draws, 0).max(0);
        let until = self.now() + SimDuration::from_ms(span);
        if let Some(node) = pod.node.and_then(|node| self.cluster.nodes.get_mut(node)) {
            node.attached_until = node.attached_until.max(until);
        }
    }

    /// Removes the claims of a pod's ephemeral volumes, and what they were bound to.
    pub(super) fn remove_ephemeral_claims(
        &mut self,
        namespace: &Arc<str>,
        name: &str,
        volumes: &[PodVolume],
    ) {
        let storage = &mut self.cluster.storage;
        for volume in volumes.iter().filter(|v| matches!(v, PodVolume::Ephemeral { .. })) {
            let key = (namespace.clone(), volume.claim_name(name));
            let claim = storage.claims.remove(&key);
            if let Some(volume) = claim.and_then(|claim| claim.volume) {
                storage.volumes.remove(&volume);
            }
        }
    }
}
