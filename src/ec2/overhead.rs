//! What a node of an instance type has, and what it leaves to pods.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/providers/instancetype/types.go` (`computeCapacity`,
//! `kubeReservedResources`, `evictionThreshold`), `pkg/providers/amifamily/`. Resources that a type does not have are
//! left out, where upstream lists them with 0; comparisons take a missing resource for 0.

use super::catalog::{Arch, TypeFacts};
use super::node_class::{AmiFamily, BlockDevice, NodeClass, Threshold};
use super::provider::Options;
use crate::units::ResourceVec;
use crate::units::resources::Lane;

const MIB: i64 = 1 << 20;
const GIB: i64 = 1 << 30;
/// Memory that Linux on Arm keeps for contiguous allocations, in MiB.
const ARM64_RESERVED_MIB: i64 = 64;
/// Pods of a node whose AMI family does not count network interfaces.
const PODS_WITHOUT_INTERFACE_LIMIT: i64 = 110;
const EVICTION_MEMORY: i64 = 100 * MIB;
const EVICTION_STORAGE_PERCENT: f64 = 10.0;

/// What a node of the type has.
pub fn capacity(facts: &TypeFacts, class: &NodeClass, options: &Options) -> ResourceVec {
    let mut capacity = ResourceVec::default();
    capacity.set_lane(Lane::Cpu, facts.vcpus * 1_000);
    capacity.set_lane(Lane::Memory, memory(facts, options));
    capacity.set_lane(Lane::EphemeralStorage, ephemeral_storage(facts, class));
    capacity.set_lane(Lane::Pods, pods(facts, class, options));
    let mut extended = |name: &str, amount: i64| {
        if amount > 0 {
            capacity.set(name, amount);
        }
    };
    extended("vpc.amazonaws.com/pod-eni", facts.branch_interfaces);
    extended("vpc.amazonaws.com/efa", facts.efa_interfaces);
    if let Some(gpu) = &facts.gpu {
        let resource = match gpu.manufacturer.as_str() {
            "nvidia" => Some("nvidia.com/gpu"),
            "amd" => Some("amd.com/gpu"),
            "habana" => Some("habana.ai/gaudi"),
            _ => None,
        };
        if let Some(resource) = resource {
            extended(resource, gpu.count);
        }
    }
    if let Some(neuron) = facts.accelerator.as_ref().filter(|device| device.cores > 0) {
        extended("aws.amazon.com/neuron", neuron.count);
        extended("aws.amazon.com/neuroncore", neuron.cores);
    }
    if is_windows(class.ami_family) && facts.arch == Some(Arch::Amd64) {
        extended("vpc.amazonaws.com/PrivateIPv4Address", facts.ipv4_per_interface - 1);
    }
    capacity
}

/// What pods may request on a node with this capacity: capacity less kube-reserved, system-reserved and eviction
/// threshold, over the resources of the capacity. May be negative.
pub fn allocatable(
    facts: &TypeFacts,
    class: &NodeClass,
    options: &Options,
    capacity: &ResourceVec,
) -> ResourceVec {
    let mut overhead = kube_reserved(facts, class, capacity.lane(Lane::Pods));
    overhead.add(&class.kubelet.system_reserved);
    overhead.add(&eviction_threshold(facts, class, options));
    capacity.minus(&overhead)
}

/// Bytes that the node sees: EC2's figure less what Arm kernels keep, less the hypervisor's share in whole MiB. In
/// `f64` and in this order of operations, as upstream.
fn memory(facts: &TypeFacts, options: &Options) -> i64 {
    let kept = if facts.arch == Some(Arch::Arm64) { ARM64_RESERVED_MIB } else { 0 };
    let mib = facts.memory_mib - kept;
    let overhead = (mib * MIB) as f64 * options.vm_memory_overhead / 1024.0 / 1024.0;
    (mib - overhead.ceil() as i64) * MIB
}

fn ephemeral_storage(facts: &TypeFacts, class: &NodeClass) -> i64 {
    if class.raid0 && facts.local_storage_gb > 0 {
        return facts.local_storage_gb * 1_000_000_000;
    }
    let devices = &class.block_devices;
    let root = devices.iter().find(|device| device.root_volume);
    if let Some(bytes) = root.and_then(|device| device.volume_bytes) {
        return bytes;
    }
    let family_default = if is_windows(class.ami_family) { 50 * GIB } else { 20 * GIB };
    let device = match ephemeral_device(class.ami_family) {
        Some(name) => {
            let named = |d: &&BlockDevice| d.device_name.as_deref() == Some(name);
            devices.iter().find(named)
        }
        None => devices.last(),
    };
    device.and_then(|device| device.volume_bytes).unwrap_or(family_default)
}

/// The device that holds images and scratch space; not known of the user's own AMIs.
fn ephemeral_device(family: Option<AmiFamily>) -> Option<&'static str> {
    match family {
        None | Some(AmiFamily::Al2 | AmiFamily::Al2023) => Some("/dev/xvda"),
        Some(AmiFamily::Bottlerocket) => Some("/dev/xvdb"),
        Some(AmiFamily::Custom) => None,
        Some(AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025) => {
            Some("/dev/sda1")
        }
    }
}

/// True for the Windows families.
pub(super) fn is_windows(family: Option<AmiFamily>) -> bool {
    use AmiFamily::{Windows2019, Windows2022, Windows2025};
    matches!(family, Some(Windows2019 | Windows2022 | Windows2025))
}

/// The most pods that the node takes. Prefix delegation is not considered, as upstream: `maxPods` says so then.
fn pods(facts: &TypeFacts, class: &NodeClass, options: &Options) -> i64 {
    let kubelet = &class.kubelet;
    let count = match kubelet.max_pods {
        Some(count) => count,
        None if is_windows(class.ami_family) => PODS_WITHOUT_INTERFACE_LIMIT,
        None => interface_limited_pods(facts, options.reserved_enis),
    };
    match kubelet.pods_per_core.filter(|per_core| *per_core > 0) {
        Some(per_core) if class.ami_family != Some(AmiFamily::Bottlerocket) => {
            count.min(per_core.saturating_mul(facts.vcpus))
        }
        _ => count,
    }
}

/// One address for each pod, less the first of each interface; two pods use the host's network. Only the default
/// network card counts.
fn interface_limited_pods(facts: &TypeFacts, reserved_enis: i64) -> i64 {
    match facts.interfaces - reserved_enis {
        usable if usable > 0 => usable * (facts.ipv4_per_interface - 1) + 2,
        _ => 0,
    }
}

/// What the kubelet and the container runtime keep. `pods` is the node's capacity; it counts for Bottlerocket and
/// Windows, the interface limit for the others even when `maxPods` is lower or higher.
fn kube_reserved(facts: &TypeFacts, class: &NodeClass, pods: i64) -> ResourceVec {
    let by_capacity =
        class.ami_family == Some(AmiFamily::Bottlerocket) || is_windows(class.ami_family);
    let pods = if by_capacity { pods } else { interface_limited_pods(facts, 0) };
    let mut reserved = ResourceVec::default();
    reserved.set_lane(Lane::Cpu, reserved_cpu(facts.vcpus * 1_000));
    reserved.set_lane(Lane::Memory, (11 * pods + 255) * MIB);
    reserved.set_lane(Lane::EphemeralStorage, GIB);
    for (name, amount) in class.kubelet.kube_reserved.iter() {
        reserved.set(name, amount);
    }
    reserved
}

/// 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest, each truncated to milli-CPU.
fn reserved_cpu(milli: i64) -> i64 {
    let brackets =
        [(0, 1_000, 0.06), (1_000, 2_000, 0.01), (2_000, 4_000, 0.005), (4_000, 1 << 31, 0.0025)];
    let reached = brackets.iter().filter(|(start, _, _)| milli >= *start);
    reached.map(|(start, end, rate)| ((milli.min(*end) - start) as f64 * rate) as i64).sum()
}

/// Memory and storage that the kubelet keeps free by evicting pods. Soft thresholds only warn.
fn eviction_threshold(facts: &TypeFacts, class: &NodeClass, options: &Options) -> ResourceVec {
    let amount = |threshold: Threshold, capacity: i64| match threshold {
        Threshold::Bytes(bytes) => bytes,
        // 100 % switches the threshold off.
        Threshold::Percent(percent) if percent >= 100.0 => 0,
        Threshold::Percent(percent) => (capacity as f64 / 100.0 * percent).ceil() as i64,
    };
    let kubelet = &class.kubelet;
    let storage = ephemeral_storage(facts, class);
    let mut threshold = ResourceVec::default();
    let default = Threshold::Bytes(EVICTION_MEMORY);
    let bytes = amount(kubelet.eviction_memory.unwrap_or(default), memory(facts, options));
    threshold.set_lane(Lane::Memory, bytes);
    let default = Threshold::Percent(EVICTION_STORAGE_PERCENT);
    let bytes = amount(kubelet.eviction_nodefs.unwrap_or(default), storage);
    threshold.set_lane(Lane::EphemeralStorage, bytes);
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upstream's kube-reserved CPU by vCPUs.
    #[test]
    fn reserved_cpu_falls_with_the_number_of_cores() {
        for (vcpus, milli) in [
            (1, 60),
            (2, 70),
            (4, 80),
            (8, 90),
            (16, 110),
            (32, 150),
            (36, 160),
            (48, 190),
            (64, 230),
            (72, 250),
            (96, 310),
            (128, 390),
            (192, 550),
            (448, 1_190),
        ] {
            assert_eq!(reserved_cpu(vcpus * 1_000), milli, "{vcpus} vCPUs");
        }
    }
}
