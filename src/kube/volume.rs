//! Persistent volumes: what ties a pod to a zone, and what counts against a node's attach limit.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/volumetopology.go`,
//! `pkg/scheduling/volumeusage.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::requirement::Requirements;

/// A volume of a pod that needs a PersistentVolumeClaim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodVolume {
    /// `persistentVolumeClaim.claimName`: all pods of the class share the claim.
    Claim(Arc<str>),
    /// `ephemeral`: each pod has a claim of its own, named `POD-VOLUME`.
    Ephemeral {
        /// Name of the volume.
        volume: Arc<str>,
        /// `volumeClaimTemplate.spec.storageClassName`; `None` asks for the default class.
        storage_class: Option<Arc<str>>,
    },
}

impl PodVolume {
    /// Name of the claim for the pod named `pod`.
    pub fn claim_name(&self, pod: &str) -> Arc<str> {
        match self {
            PodVolume::Claim(name) => name.clone(),
            PodVolume::Ephemeral { volume, .. } => format!("{pod}-{volume}").into(),
        }
    }
}

/// A StorageClass.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageClass {
    /// Name.
    pub name: Arc<str>,
    /// `provisioner`, in-tree names as the names of the CSI drivers that replace them.
    pub driver: Arc<str>,
    /// `volumeBindingMode: Immediate` (also the API's default).
    pub immediate: bool,
    /// `allowedTopologies`: alternatives.
    pub topologies: Vec<Requirements>,
    /// Annotated as the default class.
    pub default: bool,
}

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VolumeClaim {
    /// `storageClassName`; `None` and empty mean no class.
    pub storage_class: Option<Arc<str>>,
    /// `volumeName`.
    pub volume: Option<Arc<str>>,
    /// Carries `pv.kubernetes.io/bind-completed`.
    pub bound: bool,
    /// Has a deletionTimestamp.
    pub deleting: bool,
    /// Phase `Lost`.
    pub lost: bool,
}

/// A PersistentVolume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    /// The CSI driver; `None` for volumes without attach limits.
    pub driver: Option<Arc<str>>,
    /// Terms of the required node affinity that restrict something: alternatives. Hostname expressions of local volumes
    /// are left out; a term that thereby became empty restricts nothing and stays as an alternative.
    pub topologies: Vec<Requirements>,
    /// Has a deletionTimestamp.
    pub deleting: bool,
}

/// All storage objects of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Storage {
    /// StorageClasses by name.
    pub classes: BTreeMap<Arc<str>, StorageClass>,
    /// PersistentVolumeClaims by namespace and name.
    pub claims: BTreeMap<(Arc<str>, Arc<str>), VolumeClaim>,
    /// PersistentVolumes by name.
    pub volumes: BTreeMap<Arc<str>, Volume>,
    /// CSINodes: by Node, how many volumes of each driver it can attach.
    pub attach_limits: BTreeMap<Arc<str>, Vec<(Arc<str>, usize)>>,
}

/// The CSI driver that replaces an in-tree provisioner; other names are drivers already.
pub fn csi_driver(provisioner: &str) -> &str {
    match provisioner {
        "kubernetes.io/aws-ebs" => "ebs.csi.aws.com",
        "kubernetes.io/gce-pd" => "pd.csi.storage.gke.io",
        "kubernetes.io/azure-disk" => "disk.csi.azure.com",
        "kubernetes.io/azure-file" => "file.csi.azure.com",
        "kubernetes.io/cinder" => "cinder.csi.openstack.org",
        "kubernetes.io/vsphere-volume" => "csi.vsphere.vmware.com",
        "kubernetes.io/portworx-volume" => "pxd.portworx.com",
        other => other,
    }
}

impl Storage {
    /// The class that a claim without a class gets: the default one, the last by name if there are several.
    pub fn default_class(&self) -> Option<&StorageClass> {
        self.classes.values().rfind(|class| class.default)
    }

    /// The claim of a volume for a pod.
    pub fn claim(
        &self,
        namespace: &Arc<str>,
        volume: &PodVolume,
        pod: &str,
    ) -> Option<&VolumeClaim> {
        self.claims.get(&(namespace.clone(), volume.claim_name(pod)))
    }

    /// The driver whose attach limit the claim counts against, if any.
    pub fn driver(&self, claim: &VolumeClaim) -> Option<&Arc<str>> {
        match &claim.volume {
            Some(volume) => self.volumes.get(volume)?.driver.as_ref(),
            None => Some(&self.classes.get(claim.storage_class.as_ref()?)?.driver),
        }
    }
}
