//! EC2NodeClasses of `karpenter.k8s.aws/v1` as data.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/apis/v1/ec2nodeclass.go`.

use crate::units::ResourceVec;

/// An EC2NodeClass: what decides capacity, overhead and accounting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeClass {
    /// `metadata.name`.
    pub name: String,
    /// `amiFamily` if set, else the family of the alias; `None` for neither (recorded cases only).
    pub ami_family: Option<AmiFamily>,
    /// `kubelet`.
    pub kubelet: Kubelet,
    /// `blockDeviceMappings`, in order.
    pub block_devices: Vec<BlockDevice>,
    /// `instanceStorePolicy: RAID0`.
    pub raid0: bool,
    /// `cpuOptions.nestedVirtualization: enabled`.
    pub nested_virtualization: bool,
    /// `tags`, ascending by key: they are on every instance, and accounting reads them.
    pub tags: Vec<(String, String)>,
    /// A canonical text of the fields that enter the drift hash.
    pub drift_fields: String,
}

/// An AMI family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmiFamily {
    /// Amazon Linux 2.
    Al2,
    /// Amazon Linux 2023.
    Al2023,
    /// Bottlerocket.
    Bottlerocket,
    /// The user's own.
    Custom,
    /// Windows Server 2019.
    Windows2019,
    /// Windows Server 2022.
    Windows2022,
    /// Windows Server 2025.
    Windows2025,
}

impl AmiFamily {
    /// Names in manifests.
    pub const NAMES: [(&'static str, AmiFamily); 7] = [
        ("AL2", AmiFamily::Al2),
        ("AL2023", AmiFamily::Al2023),
        ("Bottlerocket", AmiFamily::Bottlerocket),
        ("Custom", AmiFamily::Custom),
        ("Windows2019", AmiFamily::Windows2019),
        ("Windows2022", AmiFamily::Windows2022),
        ("Windows2025", AmiFamily::Windows2025),
    ];

    /// The name in manifests.
    pub fn name(self) -> &'static str {
        AmiFamily::NAMES.iter().find(|(_, family)| *family == self).map_or("", |(name, _)| name)
    }
}

/// `spec.kubelet`: what changes capacity or overhead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kubelet {
    /// `maxPods`.
    pub max_pods: Option<i64>,
    /// `podsPerCore`.
    pub pods_per_core: Option<i64>,
    /// `kubeReserved`.
    pub kube_reserved: ResourceVec,
    /// `systemReserved`.
    pub system_reserved: ResourceVec,
    /// `evictionHard["memory.available"]`.
    pub eviction_memory: Option<Threshold>,
    /// `evictionHard["nodefs.available"]`.
    pub eviction_nodefs: Option<Threshold>,
}

/// An eviction threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// An amount in bytes.
    Bytes(i64),
    /// A percentage of the capacity.
    Percent(f64),
}

/// An entry of `blockDeviceMappings`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockDevice {
    /// `deviceName`.
    pub device_name: Option<String>,
    /// `rootVolume`.
    pub root_volume: bool,
    /// `ebs.volumeSize` in bytes.
    pub volume_bytes: Option<i64>,
}
