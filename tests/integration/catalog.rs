//! The embedded EC2 catalogue and what the AWS provider makes of it for Karpenter.
//!
//! Figures come from karpenter-provider-aws v1.14.1's own tables (its reference page of instance types) and rules, not
//! from the program.

use std::path::Path;

use karpsim::ec2::catalog::{Catalog, PriceBasis, usd};
use karpsim::ec2::node_class::{AmiFamily, BlockDevice, Kubelet, NodeClass, Threshold};
use karpsim::ec2::provider::{Options, instance_types};
use karpsim::ec2::{CapacityType, InstanceType, overhead};
use karpsim::kube::label;
use karpsim::scenario::catalog::{self, embedded};
use karpsim::units::resources::Lane;
use karpsim::units::{ResourceVec, Symbols};

const MIB: i64 = 1 << 20;
const GIB: i64 = 1 << 30;

#[path = "../../examples/build_catalog.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod build_catalog;

fn class(family: AmiFamily) -> NodeClass {
    NodeClass { ami_family: Some(family), ..NodeClass::default() }
}

fn with_kubelet(family: AmiFamily, kubelet: Kubelet) -> NodeClass {
    NodeClass { kubelet, ..class(family) }
}

/// Capacity and allocatable of a type.
fn resources(name: &str, class: &NodeClass, options: &Options) -> (ResourceVec, ResourceVec) {
    let facts = embedded().facts(name).expect(name);
    let capacity = overhead::capacity(facts, class, options);
    let allocatable = overhead::allocatable(facts, class, options, &capacity);
    (capacity, allocatable)
}

fn list(region: &str, zones: &[&str], class: &NodeClass) -> (Vec<InstanceType>, Symbols) {
    let mut symbols = label::vocabulary();
    let zones: Vec<String> = zones.iter().map(|zone| (*zone).to_owned()).collect();
    let options = Options::default();
    let types = instance_types(embedded(), region, &zones, class, &options, &mut symbols);
    (types, symbols)
}

fn named<'a>(types: &'a [InstanceType], symbols: &Symbols, name: &str) -> &'a InstanceType {
    types.iter().find(|it| symbols.text(it.name.symbol) == name).expect(name)
}

#[test]
fn the_embedded_catalogue_holds_all_of_ec2() {
    let catalog = embedded();
    assert_eq!(catalog.date, "2026-07");
    assert_eq!(catalog.types.len(), 1_407);
    let listed = catalog.types.iter().filter(|facts| facts.listed).count();
    assert_eq!(listed, 1_407 - 9 - 7, "no Macs, no retired types of which little is known");
    assert_eq!(catalog.regions.len(), 37);
    let priced = catalog.regions.iter().filter(|region| region.is_priced()).count();
    assert_eq!(priced, 34);
    let sales = |region: &str| catalog.region(region).expect("known").sales.iter();
    let on_sale =
        |region| sales(region).filter(|sale| sale.zones != 0 && sale.on_demand.is_some()).count();
    assert_eq!(on_sale("us-east-1"), 1_340);
    assert_eq!(on_sale("us-west-2"), 1_309);
    assert_eq!(on_sale("eu-west-1"), 1_169);
    assert_eq!(on_sale("ap-northeast-2"), 742);
    let advised = sales("us-east-1").filter(|s| s.advice.is_some() && s.on_demand.is_some());
    assert_eq!(
        advised.count(),
        890,
        "of 894; three p2 types and i3.metal are in no table of types"
    );
    assert_eq!(catalog.price_list("us-west-2"), "on-demand list us-west-2, table of 2026-07");
    let basis = |region| catalog.price_basis(region, ["m5.large", "m8i.large"].into_iter());
    assert_eq!(basis("us-east-1"), [(PriceBasis::Generated, 2)]);
    assert_eq!(basis("eu-west-1"), [(PriceBasis::Listed, 1), (PriceBasis::Estimated, 1)]);
}

#[test]
fn scenarios_are_checked_against_the_embedded_names() {
    let names = karpsim::scenario::Catalogue::from(embedded());
    assert!(names.instance_types.contains("m5.large"));
    assert_eq!(names.regions["eu-west-1"], ["eu-west-1a", "eu-west-1b", "eu-west-1c"]);
    let unpriced: Vec<&str> = names.unpriced.iter().map(String::as_str).collect();
    assert_eq!(unpriced, ["ap-east-2", "ap-southeast-6", "cn-north-1"]);
}

/// The prices of c5.large, m5.large, r5.large, m5.xlarge, t3.medium and m7g.4xlarge in us-east-1.
#[test]
fn prices_are_the_lists_decimals() {
    let catalog = embedded();
    let region = catalog.region("us-east-1").expect("known");
    for (name, price) in [
        ("c5.large", 0.085),
        ("m5.large", 0.096),
        ("r5.large", 0.126),
        ("m5.xlarge", 0.192),
        ("t3.medium", 0.0416),
        ("m7g.4xlarge", 0.6528),
    ] {
        let position = catalog.position(name).expect(name);
        let on_demand = region.sales[position].on_demand.expect(name);
        assert_eq!(usd(on_demand.micro_usd), price, "{name}");
    }
}

/// One row of the table below: name, memory in MiB, pods, allocatable CPU in milli, memory capacity and allocatable
/// memory in MiB, further capacity.
type Row = (&'static str, i64, i64, i64, i64, i64, &'static [(&'static str, i64)]);

const ENI: &str = "vpc.amazonaws.com/pod-eni";
const EFA: &str = "vpc.amazonaws.com/efa";
const GPU: &str = "nvidia.com/gpu";
const NEURON: &str = "aws.amazon.com/neuron";
const CORE: &str = "aws.amazon.com/neuroncore";

/// The figures of karpenter-provider-aws v1.14.1's reference page, AL2023 without a kubelet block.
const TABLE: [Row; 36] = [
    ("c5.large", 4_096, 29, 1_930, 3_788, 3_114, &[(ENI, 9)]),
    ("m5.large", 8_192, 29, 1_930, 7_577, 6_903, &[(ENI, 9)]),
    ("r5.large", 16_384, 29, 1_930, 15_155, 14_481, &[(ENI, 9)]),
    ("m5.xlarge", 16_384, 58, 3_920, 15_155, 14_162, &[(ENI, 18)]),
    ("t3.medium", 4_096, 17, 1_930, 3_788, 3_246, &[]),
    ("m7g.4xlarge", 65_536, 234, 15_890, 60_561, 57_632, &[(ENI, 54)]),
    ("t3.nano", 512, 4, 1_930, 473, 74, &[]),
    ("t3.small", 2_048, 11, 1_930, 1_894, 1_418, &[]),
    ("t3a.large", 8_192, 35, 1_930, 7_577, 6_837, &[]),
    ("t4g.small", 2_048, 11, 1_930, 1_835, 1_359, &[]),
    ("c5.xlarge", 8_192, 58, 3_920, 7_577, 6_584, &[(ENI, 18)]),
    ("c5.4xlarge", 32_768, 234, 15_890, 30_310, 27_381, &[(ENI, 54)]),
    ("c6g.medium", 2_048, 8, 940, 1_835, 1_392, &[(ENI, 4)]),
    ("c6i.8xlarge", 65_536, 234, 31_850, 60_620, 57_691, &[(ENI, 84)]),
    ("c7i-flex.large", 4_096, 29, 1_930, 3_788, 3_114, &[(ENI, 3)]),
    ("c7g.16xlarge", 131_072, 737, 63_770, 121_182, 112_720, &[(EFA, 1), (ENI, 107)]),
    ("m5.2xlarge", 32_768, 58, 7_910, 30_310, 29_317, &[(ENI, 38)]),
    ("m5.4xlarge", 65_536, 234, 15_890, 60_620, 57_691, &[(ENI, 54)]),
    ("m5.24xlarge", 393_216, 737, 95_690, 363_724, 355_262, &[(ENI, 107)]),
    ("m5.metal", 393_216, 737, 95_690, 363_724, 355_262, &[(ENI, 120)]),
    ("m6i.32xlarge", 524_288, 737, 127_610, 484_966, 476_504, &[(EFA, 1), (ENI, 107)]),
    ("m7i.48xlarge", 786_432, 737, 191_450, 727_449, 718_987, &[(EFA, 1), (ENI, 107)]),
    ("m8g.xlarge", 16_384, 58, 3_920, 15_096, 14_103, &[(ENI, 18)]),
    ("r5.4xlarge", 131_072, 234, 15_890, 121_241, 118_312, &[(ENI, 54)]),
    ("r6g.large", 16_384, 29, 1_930, 15_096, 14_422, &[(ENI, 9)]),
    ("x2gd.medium", 16_384, 8, 940, 15_096, 14_653, &[(ENI, 10)]),
    ("i4i.32xlarge", 1_048_576, 737, 127_610, 969_932, 961_470, &[(EFA, 1), (ENI, 120)]),
    ("g5.xlarge", 16_384, 58, 3_920, 15_155, 14_162, &[(GPU, 1), (ENI, 4)]),
    ("g4dn.12xlarge", 196_608, 234, 47_810, 181_862, 178_933, &[(GPU, 4), (EFA, 1), (ENI, 54)]),
    ("g6f.large", 8_192, 20, 1_930, 7_577, 7_002, &[(ENI, 10)]),
    (
        "p4d.24xlarge",
        1_179_648,
        737,
        95_690,
        1_091_174,
        1_082_712,
        &[(GPU, 8), (EFA, 4), (ENI, 62)],
    ),
    ("inf2.xlarge", 16_384, 58, 3_920, 15_155, 14_162, &[(NEURON, 1), (CORE, 2), (ENI, 18)]),
    (
        "trn1.32xlarge",
        524_288,
        247,
        127_610,
        484_966,
        481_894,
        &[(NEURON, 16), (CORE, 32), (EFA, 8), (ENI, 82)],
    ),
    (
        "u7i-12tb.224xlarge",
        12_582_912,
        737,
        893_690,
        11_639_193,
        11_630_731,
        &[(EFA, 1), (ENI, 107)],
    ),
    ("a1.medium", 2_048, 8, 940, 1_835, 1_392, &[(ENI, 10)]),
    ("t2.micro", 1_024, 4, 940, 947, 548, &[]),
];

#[test]
fn capacity_and_allocatable_are_those_of_karpenters_reference_page() {
    for (name, memory_mib, pods, cpu, memory, allocatable_memory, further) in TABLE {
        assert_eq!(embedded().facts(name).expect(name).memory_mib, memory_mib, "{name}");
        let (capacity, allocatable) =
            resources(name, &class(AmiFamily::Al2023), &Options::default());
        let mut expected: ResourceVec = further.iter().copied().collect();
        expected.set_lane(Lane::Cpu, embedded().facts(name).expect(name).vcpus * 1_000);
        expected.set_lane(Lane::Memory, memory * MIB);
        expected.set_lane(Lane::EphemeralStorage, 20 * GIB);
        expected.set_lane(Lane::Pods, pods);
        assert_eq!(capacity, expected, "{name}");
        expected.set_lane(Lane::Cpu, cpu);
        expected.set_lane(Lane::Memory, allocatable_memory * MIB);
        expected.set_lane(Lane::EphemeralStorage, 17 * GIB);
        assert_eq!(allocatable, expected, "{name}");
    }
}

/// Karpenter's answer for m5.large to each member of the node class.
#[test]
fn kubelet_and_volumes_change_what_a_node_takes() {
    use AmiFamily::{Al2023, Bottlerocket, Custom, Windows2022};
    let max_pods = || Kubelet { max_pods: Some(110), ..Kubelet::default() };
    let per_core = || Kubelet { pods_per_core: Some(4), ..Kubelet::default() };
    let evict = |percent| Kubelet {
        eviction_memory: Some(Threshold::Percent(percent)),
        ..Kubelet::default()
    };
    let reserved = [("cpu", 200), ("memory", 100 * MIB)].into_iter().collect();
    let reserved = Kubelet { kube_reserved: reserved, ..Kubelet::default() };
    let system = [("memory", 10 * MIB), ("pid", 5)].into_iter().collect();
    let system = Kubelet { system_reserved: system, ..Kubelet::default() };
    let options = Options::default;
    let enis = || Options { reserved_enis: 1, ..Options::default() };
    let bare = || Options { vm_memory_overhead: 0.0, ..Options::default() };
    for (what, class, options, pods, cpu, memory) in [
        ("maxPods", with_kubelet(Al2023, max_pods()), options(), 110, 1_930, 6_903 * MIB),
        ("maxPods", with_kubelet(Bottlerocket, max_pods()), options(), 110, 1_930, 6_012 * MIB),
        ("reserved ENIs", class(Al2023), enis(), 20, 1_930, 6_903 * MIB),
        ("reserved ENIs", class(Bottlerocket), enis(), 20, 1_930, 7_002 * MIB),
        ("podsPerCore", with_kubelet(Al2023, per_core()), options(), 8, 1_930, 6_903 * MIB),
        ("podsPerCore", with_kubelet(Bottlerocket, per_core()), options(), 29, 1_930, 6_903 * MIB),
        ("evictionHard", with_kubelet(Al2023, evict(5.0)), options(), 29, 1_930, 6_945_924_710),
        ("evictionHard", with_kubelet(Al2023, evict(100.0)), options(), 29, 1_930, 7_003 * MIB),
        ("kubeReserved", with_kubelet(Al2023, reserved), options(), 29, 1_800, 7_377 * MIB),
        ("systemReserved", with_kubelet(Al2023, system), options(), 29, 1_930, 6_893 * MIB),
        ("VM overhead", class(Al2023), bare(), 29, 1_930, 7_518 * MIB),
        ("Windows", class(Windows2022), options(), 110, 1_930, 6_012 * MIB),
        ("Custom", class(Custom), options(), 29, 1_930, 6_903 * MIB),
    ] {
        let (capacity, allocatable) = resources("m5.large", &class, &options);
        let family = class.ami_family.map_or("", AmiFamily::name);
        assert_eq!(capacity.lane(Lane::Pods), pods, "{what} {family}");
        assert_eq!(allocatable.lane(Lane::Cpu), cpu, "{what} {family}");
        assert_eq!(allocatable.lane(Lane::Memory), memory, "{what} {family}");
        assert_eq!(allocatable.find("pid"), None, "no node has the resource");
    }
    let (windows, _) = resources("m5.large", &class(Windows2022), &Options::default());
    assert_eq!(windows.get("vpc.amazonaws.com/PrivateIPv4Address"), 9);
}

#[test]
fn ephemeral_storage_follows_the_volumes() {
    let device = |name: &str, root_volume, gib: Option<i64>| BlockDevice {
        device_name: Some(name.to_owned()),
        root_volume,
        volume_bytes: gib.map(|gib| gib * GIB),
    };
    let storage = |name, class: &NodeClass| {
        let (capacity, allocatable) = resources(name, class, &Options::default());
        let lane = Lane::EphemeralStorage;
        (capacity.lane(lane), allocatable.lane(lane))
    };
    let with = |family, block_devices| NodeClass { block_devices, ..class(family) };
    use AmiFamily::{Al2023, Bottlerocket, Custom, Windows2019};
    let root = with(Al2023, vec![device("/dev/xvda", false, Some(100))]);
    assert_eq!(storage("m5.large", &root), (100 * GIB, 89 * GIB));
    let raid = NodeClass { raid0: true, ..root };
    assert_eq!(storage("m5d.large", &raid), (75_000_000_000, 66_426_258_176));
    assert_eq!(storage("m5.large", &raid), (100 * GIB, 89 * GIB), "no instance store");
    for (class, gib) in [
        (with(Al2023, vec![device("/dev/xvdb", false, Some(100))]), 20),
        (with(Bottlerocket, vec![device("/dev/xvdb", false, Some(100))]), 100),
        (with(Bottlerocket, vec![device("/dev/xvda", false, Some(100))]), 20),
        (with(Al2023, vec![device("/dev/sdz", true, Some(60))]), 60),
        (with(Al2023, vec![device("/dev/sdz", true, None)]), 20),
        (with(Custom, vec![device("a", false, Some(30)), device("b", false, Some(40))]), 40),
        (with(Custom, vec![device("a", false, Some(30)), device("b", false, None)]), 20),
        (with(Windows2019, vec![]), 50),
    ] {
        assert_eq!(storage("m5.large", &class).0, gib * GIB, "{class:?}");
    }
}

/// What Karpenter recorded of 312 types: name, pods, allocatable CPU in milli, memory capacity and allocatable memory
/// in MiB.
#[test]
fn allocatable_is_that_of_karpenters_recorded_types() {
    let recorded = include_str!("catalog/allocatable.txt");
    let mut count = 0;
    for line in recorded.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| fields[i].parse::<i64>().expect(line);
        let (capacity, allocatable) =
            resources(fields[0], &class(AmiFamily::Al2023), &Options::default());
        assert_eq!(capacity.lane(Lane::Pods), number(1), "{line}");
        assert_eq!(allocatable.lane(Lane::Cpu), number(2), "{line}");
        assert_eq!(capacity.lane(Lane::Memory), number(3) * MIB, "{line}");
        assert_eq!(allocatable.lane(Lane::Memory), number(4) * MIB, "{line}");
        assert_eq!(capacity.get(GPU), number(5), "{line}");
        assert_eq!(allocatable.lane(Lane::EphemeralStorage), 17 * GIB, "{line}");
        count += 1;
    }
    assert_eq!(count, 312);
}

/// The label set of m5.large as karpenter-provider-aws v1.14.1 computes it, and what the other shapes of names have.
#[test]
fn types_carry_the_providers_labels() {
    let (types, symbols) =
        list("us-west-2", &["us-west-2a", "us-west-2c"], &class(AmiFamily::Al2023));
    let labels = |name: &str| -> Vec<(String, String)> {
        let it = named(&types, &symbols, name);
        let entry = |(key, requirement): (_, &karpsim::kube::requirement::Requirement)| {
            (symbols.text(key).to_owned(), requirement.describe(&symbols))
        };
        let mut labels: Vec<_> = it.requirements.iter().map(entry).collect();
        labels.sort_unstable();
        labels
    };
    let with = |name: &str, suffix: &str| {
        let key = format!("karpenter.k8s.aws/instance-{suffix}");
        labels(name).into_iter().find(|(k, _)| *k == key).map(|(_, text)| text).expect("there")
    };
    let absent = "DoesNotExist";
    let expected = [
        ("karpenter.k8s.aws/capacity-reservation-id", absent),
        ("karpenter.k8s.aws/capacity-reservation-interruptible", absent),
        ("karpenter.k8s.aws/capacity-reservation-type", absent),
        ("karpenter.k8s.aws/instance-accelerator-count", absent),
        ("karpenter.k8s.aws/instance-accelerator-manufacturer", absent),
        ("karpenter.k8s.aws/instance-accelerator-name", absent),
        ("karpenter.k8s.aws/instance-capability-flex", "In [false]"),
        ("karpenter.k8s.aws/instance-category", "In [m]"),
        ("karpenter.k8s.aws/instance-cpu", "In [2]"),
        ("karpenter.k8s.aws/instance-cpu-manufacturer", "In [intel]"),
        ("karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz", "In [3100]"),
        ("karpenter.k8s.aws/instance-ebs-bandwidth", "In [4750]"),
        ("karpenter.k8s.aws/instance-encryption-in-transit-supported", "In [false]"),
        ("karpenter.k8s.aws/instance-family", "In [m5]"),
        ("karpenter.k8s.aws/instance-generation", "In [5]"),
        ("karpenter.k8s.aws/instance-gpu-count", absent),
        ("karpenter.k8s.aws/instance-gpu-manufacturer", absent),
        ("karpenter.k8s.aws/instance-gpu-memory", absent),
        ("karpenter.k8s.aws/instance-gpu-name", absent),
        ("karpenter.k8s.aws/instance-hypervisor", "In [nitro]"),
        ("karpenter.k8s.aws/instance-local-nvme", absent),
        ("karpenter.k8s.aws/instance-memory", "In [8192]"),
        ("karpenter.k8s.aws/instance-network-bandwidth", "In [750]"),
        ("karpenter.k8s.aws/instance-size", "In [large]"),
        ("karpenter.k8s.aws/instance-tenancy", "In [dedicated default]"),
        ("karpenter.sh/capacity-type", "In [on-demand spot]"),
        ("kubernetes.io/arch", "In [amd64]"),
        ("kubernetes.io/os", "In [linux]"),
        ("node.kubernetes.io/instance-type", "In [m5.large]"),
        ("node.kubernetes.io/windows-build", absent),
        ("topology.k8s.aws/zone-id", "In [usw2-az2 usw2-az3]"),
        ("topology.kubernetes.io/region", "In [us-west-2]"),
        ("topology.kubernetes.io/zone", "In [us-west-2a us-west-2c]"),
    ];
    let found = labels("m5.large");
    let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(with("c7i-flex.large", "capability-flex"), "In [true]");
    assert_eq!(with("u7i-12tb.224xlarge", "generation"), "In [7]");
    assert_eq!(with("g5.12xlarge", "gpu-count"), "In [4]");
    assert_eq!(with("g5.12xlarge", "gpu-name"), "In [a10g]");
    assert_eq!(with("g5.12xlarge", "gpu-memory"), "In [22888]", "of each GPU");
    assert_eq!(with("inf2.xlarge", "accelerator-name"), "In [inferentia2]");
    assert_eq!(with("inf2.xlarge", "accelerator-count"), "In [1]");
    assert_eq!(with("c5.metal", "hypervisor"), "In []", "the empty value, which is not absence");
    assert_eq!(with("m5d.large", "local-nvme"), "In [75]");
    assert_eq!(with("t2.micro", "network-bandwidth"), absent);
}

#[test]
fn offerings_stand_by_zone_with_on_demand_before_spot() {
    let zones = ["us-east-1b", "us-east-1a"];
    let (types, symbols) = list("us-east-1", &zones, &class(AmiFamily::Al2023));
    let names: Vec<&str> = types.iter().map(|it| symbols.text(it.name.symbol)).collect();
    assert!(names.is_sorted(), "by name");
    assert!(names.contains(&"m5.metal") && !names.contains(&"mac1.metal"));
    assert!(!names.contains(&"p3.2xlarge"), "retired");
    let m5 = named(&types, &symbols, "m5.large");
    let offers: Vec<(CapacityType, &str, bool)> = (m5.offerings.iter())
        .map(|o| (o.capacity_type, symbols.text(o.zone.symbol), o.available))
        .collect();
    use CapacityType::{OnDemand, Spot};
    let expected = [
        (OnDemand, "us-east-1a", true),
        (Spot, "us-east-1a", true),
        (OnDemand, "us-east-1b", true),
        (Spot, "us-east-1b", true),
    ];
    assert_eq!(offers, expected);
    assert_eq!(m5.offerings[0].price, 0.096);
    let id = m5.offerings[0].requirements.get(label::ZONE_ID).expect("zone id").describe(&symbols);
    let a = &embedded().region("us-east-1").expect("known").zones[0];
    assert_eq!(id, format!("In [{}]", a.id));
    assert!(!m5.bare_metal && named(&types, &symbols, "m5.metal").bare_metal);
}

/// Recorded zonal prices first, then the Spot Advisor's saving of the region on the on-demand price.
#[test]
fn spot_prices_are_the_zones_or_the_advisors() {
    let (types, symbols) = list("us-east-1", &["us-east-1a"], &class(AmiFamily::Al2023));
    let spot = |name: &str| named(&types, &symbols, name).offerings[1].price;
    let zonal = embedded().region("us-east-1").expect("known").zonal_spot.len();
    assert!(zonal > 0);
    // m5.2xlarge: 0.384 an hour.
    let catalog = embedded();
    let position = catalog.position("m5.2xlarge").expect("known");
    let sale = catalog.region("us-east-1").expect("known").sales[position];
    let saving = sale.advice.expect("known to the advisor").saving_percent;
    let expected = (384_000 * (100 - saving) + 50) / 100;
    assert_eq!(spot("m5.2xlarge"), expected as f64 / 1e6);
    assert!(spot("m5.large") < 0.096);
}

#[test]
fn what_cannot_be_bought_is_listed_but_not_available() {
    let zones = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1f"];
    let available = |family, name: &str| {
        let (types, symbols) = list("us-east-1", &zones, &class(family));
        let it = named(&types, &symbols, name);
        assert!(!it.offerings.is_empty(), "{name} is sold in these zones");
        it.offerings.iter().any(|o| o.available)
    };
    assert!(!available(AmiFamily::Al2023, "a1.large"), "AL2023 does not boot on a1");
    assert!(available(AmiFamily::Al2, "a1.large"));
    assert!(!available(AmiFamily::Al2023, "r9g.large"), "no price is known");
    let nested = NodeClass { nested_virtualization: true, ..class(AmiFamily::Al2023) };
    let (types, symbols) = list("us-east-1", &zones, &nested);
    let any = |name: &str| named(&types, &symbols, name).offerings.iter().any(|o| o.available);
    assert!(any("m8i.large") && !any("m5.large"), "only recent types nest virtual machines");
    let (types, symbols) = list("us-east-1", &["us-east-1e"], &class(AmiFamily::Al2023));
    let m7i = named(&types, &symbols, "m7i.large");
    assert!(m7i.offerings.is_empty(), "not sold in this zone");
    let zone = m7i.requirements.get(label::ZONE).expect("there");
    assert_eq!(zone.describe(&symbols), "DoesNotExist");
    assert!(list("us-narnia-1", &[], &class(AmiFamily::Al2023)).0.is_empty());
}

#[test]
fn amis_boot_what_they_were_built_for() {
    let ami = |family, name: &str| {
        let (types, symbols) = list("us-east-1", &["us-east-1a", "us-east-1b"], &class(family));
        named(&types, &symbols, name).has_ami
    };
    assert!(!ami(AmiFamily::Al2, "g5g.xlarge"), "no GPU image for Arm");
    assert!(ami(AmiFamily::Al2, "g5.xlarge") && ami(AmiFamily::Al2, "m7g.large"));
    assert!(ami(AmiFamily::Al2023, "g5g.xlarge"));
    assert!(!ami(AmiFamily::Windows2022, "m7g.large"));
    let (types, symbols) = list("us-east-1", &["us-east-1a"], &class(AmiFamily::Windows2022));
    let label = |name: &str, key| {
        let requirement = named(&types, &symbols, name).requirements.get(key).expect("there");
        requirement.describe(&symbols)
    };
    let build = symbols.find("node.kubernetes.io/windows-build").expect("well known");
    assert_eq!(label("m5.large", label::OS), "In [windows]");
    assert_eq!(label("m5.large", build), "In [10.0.20348]");
    assert_eq!(label("m7g.large", label::OS), "DoesNotExist");
}

/// The same tables give the bytes that are committed.
#[test]
fn the_embedded_file_is_what_the_tables_give() {
    let folder = Path::new("../shared/data/ec2");
    if !folder.exists() {
        println!("skipped: the tables are not here");
        return;
    }
    let built = build_catalog::build(folder).expect("well-formed tables");
    let committed = std::fs::read("src/scenario/catalog/ec2.txt.gz").expect("committed");
    assert!(built.bytes == committed, "re-run examples/build_catalog.rs");
    assert!(committed.len() < 200_000, "{} bytes", committed.len());
}

#[test]
fn damaged_catalogue_files_are_refused_with_the_line() {
    let pack = |text: &str| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("to memory");
        encoder.finish().expect("to memory")
    };
    let read = |text: &str| catalog::read(&pack(text)).map(|catalog: Catalog| catalog.types.len());
    let m5 = "m5.large amd64 2 8192 osl nitro intel 3100 3 10 9 750 4750 0 - - 0";
    let good = format!(
        "{}\ndate 2026-07\ntypes 1\n{m5}\nregion r\nzones ra=x\noffered a\nprices 5\n",
        catalog::FORM
    );
    assert_eq!(read(&good), Ok(1));
    assert!(catalog::read(b"nonsense").is_err());
    for (from, to, place) in [
        (catalog::FORM, "karpsim-ec2-catalogue 2", "first line"),
        ("8192", "lots", "line 4"),
        ("types 1", "types", "line 3"),
        ("offered a", "offered b", "line 7"),
        ("prices 5", "prices 5*2", "line 8"),
        ("prices 5", "colours 5", "line 8"),
        ("prices 5", "spot m6.large a=5", "line 8"),
    ] {
        let error = read(&good.replace(from, to)).expect_err(to);
        assert!(error.contains(place), "{error}");
    }
}

/// What `karpsim catalog` writes for these arguments, or what it finds wrong with them.
fn listed(arguments: &[&str]) -> Result<String, Vec<String>> {
    let mut program = assert_cmd::Command::cargo_bin("karpsim").expect("built");
    let output = program.arg("catalog").args(arguments).args(["--diagnostics", "json"]).output();
    let output = output.expect("runs");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        Some(2) => Err(text(&output.stderr).lines().map(problem).collect()),
        code => panic!("{code:?}: {}", text(&output.stderr)),
    }
}

/// Code, place and suggestion of a problem in JSON.
fn problem(line: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    format!(
        "{} {}:{}:{} {}",
        text("code"),
        text("file"),
        json["line"],
        json["column"],
        text("suggestion")
    )
}

/// Names of the types that are listed, in order.
fn found(arguments: &[&str]) -> Vec<String> {
    let text = listed(&[arguments, &["--json"]].concat()).expect("well-formed filter");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let types = json["types"].as_array().expect("a list").iter();
    types.map(|row| row["name"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn filters_pick_types_and_keys_sort_them() {
    let sizes = ["family=m5|r5,size=large|xlarge", "--sort", "price"];
    assert_eq!(found(&sizes), ["m5.large", "r5.large", "m5.xlarge", "r5.xlarge"]);
    let sizes = ["family=m5|r5,size=large|xlarge", "--sort", "-price", "--limit", "2"];
    assert_eq!(found(&sizes), ["r5.xlarge", "m5.xlarge"]);
    let few = ["name=m5.*, vcpu>2 , vcpu<=8", "--sort", "vcpu"];
    assert_eq!(found(&few), ["m5.xlarge", "m5.2xlarge"]);
    assert_eq!(found(&["family=m5,metal"]), ["m5.metal"]);
    assert_eq!(found(&["family=m5,!metal"]).len(), 8);
    assert_eq!(found(&["family=m5,memory=16Gi"]), ["m5.xlarge"]);
    assert_eq!(found(&["family=g5,gpu=8"]), ["g5.48xlarge"]);
    assert_eq!(
        found(&["category=p,generation=4,gpu-name=a100,gpu>=8"]),
        ["p4d.24xlarge", "p4de.24xlarge"]
    );
    assert_eq!(found(&["accelerator=inferentia2,vcpu<8"]), ["inf2.xlarge"]);
    assert_eq!(found(&["family=m5,cpu!=intel"]), [""; 0]);
    // No price is known of r9g, so it is sold by no capacity type; without a value it stands last in either order.
    assert_eq!(found(&["name=r9g.large,capacity=on-demand"]), [""; 0]);
    for sort in ["price", "-price"] {
        assert_eq!(found(&["name=r9g.large|m5.large", "--sort", sort]), ["m5.large", "r9g.large"]);
    }
    assert_eq!(found(&["name=m7i.large,zone=us-east-1e"]), [""; 0], "not sold there");
    assert_eq!(found(&["name=m7i.large,zone!=us-east-1e"]), ["m7i.large"]);
    assert_eq!(found(&["family=a1"]), [""; 0], "AL2023 does not boot on a1");
    assert_eq!(found(&["family=a1,vcpu=1", "--ami-family", "al2"]), ["a1.medium"]);
    assert_eq!(found(&["", "--region", "eu-west-1", "--limit", "3"]).len(), 3);
}

#[test]
fn listings_say_what_their_figures_are() {
    let text = listed(&["name=m5.large|m5.xlarge|m8i.large", "--region", "eu-west-1"]);
    let expected = "\
type       arch   vcpu  memory GiB  gpu  alloc cpu  alloc memory  pods  on-demand $/h  spot $/h  saving  reclaim  zones
m5.large   amd64     2           8          1,930m       6,903Mi    29         0.1070    ";
    let text = text.expect("well-formed filter");
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.contains("\nm8i.large  amd64     2           8          1,930m       6,5"),
        "{text}"
    );
    assert!(text.contains("\n3 of 1,175 types in eu-west-1; allocatable with AL2023\n"), "{text}");
    let prices = "\nprices: on-demand list eu-west-1, table of 2026-07 (2 listed, 1 estimated)\n";
    assert!(text.contains(prices), "{text}");
    assert!(text.contains("\n~ estimated"), "{text}");
    let text =
        listed(&["name=m5.large", "--ami-family", "Bottlerocket"]).expect("well-formed filter");
    assert!(!text.contains('~'), "Karpenter's own figures: {text}");
}

/// KS0401 and KS0402, and the codes of the scenario for region and family.
#[test]
fn wrong_arguments_are_reported_at_their_place() {
    let filter = "vcpus>=4,memory>=16,zone=us-east-1z,arch>3,metal=yes,gpu>=,vcpu,vcpu=many";
    let problems = listed(&[filter, "--sort", "-prize"]).expect_err("nothing of it is right");
    assert_eq!(
        problems,
        [
            "KS0401 <command line>: --sort:1:2 price",
            "KS0401 <command line>: filter:1:1 vcpu",
            "KS0402 <command line>: filter:1:18 ",
            "KS0402 <command line>: filter:1:26 us-east-1a",
            "KS0402 <command line>: filter:1:37 ",
            "KS0402 <command line>: filter:1:50 ",
            "KS0402 <command line>: filter:1:59 ",
            "KS0402 <command line>: filter:1:60 ",
            "KS0402 <command line>: filter:1:70 ",
        ]
    );
    let problems = listed(&["--region", "us-wets-2", "--ami-family", "AL2032"]).expect_err("wrong");
    assert_eq!(
        problems,
        [
            "KS0208 <command line>: --region:1:1 us-west-2",
            "KS0307 <command line>: --ami-family:1:1 AL2023",
        ]
    );
}
