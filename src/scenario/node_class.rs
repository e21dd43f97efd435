//! EC2NodeClasses of `karpenter.k8s.aws/v1`: the rules of the CRD.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/apis/v1/ec2nodeclass.go`,
//! `pkg/apis/crds/karpenter.k8s.aws_ec2nodeclasses.yaml`.

use super::manifest::Admission;
use super::pod::resource_list;
use super::reader::{Field, Object, Reader, Unknown};
use crate::diagnostic;
use crate::ec2::node_class::{AmiFamily, BlockDevice, Kubelet, NodeClass, Threshold};
use crate::units::{ResourceVec, quantity};

const MODELLED_ELSEWHERE: &str = "it decides which capacity can be launched";

/// Reads the spec of an EC2NodeClass.
pub fn read(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    name: &str,
    admission: Admission,
) -> Option<NodeClass> {
    let mut class = NodeClass { name: name.to_owned(), ..NodeClass::default() };
    let spec = match admission {
        Admission::Full => object.required("spec", reader)?,
        Admission::Recorded => match object.get("spec") {
            Some(spec) => spec,
            None => return Some(class),
        },
    };
    let mut spec = reader.object(&spec)?;
    selector_terms(reader, &mut spec, "subnetSelectorTerms", &["tags", "id"]);
    selector_terms(reader, &mut spec, "securityGroupSelectorTerms", &["tags", "id", "name"]);
    let alias = ami_terms(reader, &mut spec);
    class.ami_family = ami_family(reader, &mut spec, alias);
    identity(reader, &mut spec);
    if let Some(field) = spec.get("tags") {
        class.tags = tags(reader, &field);
    }
    if let Some(field) = spec.get("kubelet") {
        class.kubelet = kubelet(reader, &field).unwrap_or_default();
    }
    if let Some(field) = spec.get("blockDeviceMappings") {
        class.block_devices = block_devices(reader, &field);
    }
    if let Some(field) = spec.get("instanceStorePolicy") {
        class.raid0 = reader.choice(&field, &[("RAID0", ())]).is_some();
    }
    if let Some(field) = spec.get("metadataOptions") {
        metadata_options(reader, &field);
    }
    spec.refuse("capacityReservationSelectorTerms", MODELLED_ELSEWHERE, reader);
    spec.refuse("placementGroupSelector", MODELLED_ELSEWHERE, reader);
    spec.refuse("networkInterfaces", "it changes how many pods a node takes", reader);
    spec.refuse("connectionTracking", MODELLED_ELSEWHERE, reader);
    if let Some(mut options) = spec.get("cpuOptions").and_then(|field| reader.object(&field)) {
        if let Some(field) = options.get("nestedVirtualization") {
            let choices = [("enabled", true), ("disabled", false)];
            class.nested_virtualization = reader.choice(&field, &choices) == Some(true);
        }
        reader.finish(options, Unknown::Error);
    }
    let harmless =
        ["associatePublicIPAddress", "context", "detailedMonitoring", "ipPrefixCount", "userData"];
    spec.without_effect(&harmless, reader);
    class.drift_fields = drift_fields(&spec, class.ami_family);
    reader.finish(spec, Unknown::Error);
    Some(class)
}

/// A list of 1 to 30 terms, each of which selects by something.
fn selector_terms(
    reader: &mut Reader<'_>,
    spec: &mut Object<'_>,
    list: &'static str,
    keys: &[&'static str],
) {
    let Some(field) = spec.required(list, reader) else {
        return;
    };
    let items = terms(reader, &field);
    let mut of_terms = Vec::new();
    for item in &items {
        let Some(mut term) = reader.object(item) else {
            continue;
        };
        of_terms.push(selectors(reader, &mut term, keys));
        reader.finish(term, Unknown::Error);
    }
    for alone in ["id", "name"] {
        let is_combined = |found: &Vec<&str>| found.contains(&alone) && found.len() > 1;
        // The CRD's rule speaks of all terms: one that combines nothing lets the others pass.
        if let Some(item) = items.first().filter(|_| of_terms.iter().all(is_combined)) {
            reader.broken(item, &format!("`{alone}` cannot be combined with other selectors"));
        }
    }
}

fn terms<'n>(reader: &mut Reader<'_>, field: &Field<'n>) -> Vec<Field<'n>> {
    let items = reader.list(field);
    if items.is_empty() || items.len() > 30 {
        reader.broken(field, "needs 1 to 30 terms");
    }
    items
}

/// The selectors that a term uses; at least one, tags with keys and values.
fn selectors(
    reader: &mut Reader<'_>,
    term: &mut Object<'_>,
    keys: &[&'static str],
) -> Vec<&'static str> {
    let mut found = Vec::new();
    for key in keys {
        let Some(field) = term.get(key) else { continue };
        if *key != "tags" {
            if let Some(text) = reader.filled_text(&field) {
                check_id(reader, &field, key, &text);
                found.push(*key);
            }
            continue;
        }
        let tags = reader.entries(&field);
        if tags.len() > 20 {
            reader.broken(&field, "at most 20 tags are allowed");
        }
        for (key, _, value) in &tags {
            let text = reader.text(value);
            if key.is_empty() || text.is_some_and(|text| text.is_empty()) {
                reader.broken(value, "a tag needs a key and a value; `*` stands for any value");
            }
        }
        if !tags.is_empty() {
            found.push(*key);
        }
    }
    if found.is_empty() {
        let rule = format!("a term needs one of {}", keys.join(", "));
        reader.broken(&term.field, &rule);
    }
    found
}

/// Ids hold what EC2 begins them with.
fn check_id(reader: &mut Reader<'_>, field: &Field<'_>, key: &str, id: &str) {
    let prefixes =
        [("amiSelectorTerms", "ami-"), ("securityGroup", "sg-"), ("subnetSelector", "subnet-")];
    let prefix = prefixes.iter().find(|(list, _)| field.path.starts_with(&format!("spec.{list}")));
    let Some((_, prefix)) = prefix.filter(|_| key == "id") else {
        return;
    };
    let is_of_id = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    if !id.match_indices(prefix).any(|(at, _)| id[at + prefix.len()..].starts_with(is_of_id)) {
        let problem =
            diagnostic::rule_broken(field.span(), &field.path, &format!("`{id}` is no id"));
        reader.push(
            problem.help(format!("ids begin with `{prefix}`; names and tags select as well")),
        );
    }
}

/// `amiSelectorTerms`; returns the family of the alias, `Some(None)` for an alias that is wrong.
fn ami_terms(reader: &mut Reader<'_>, spec: &mut Object<'_>) -> Option<Option<AmiFamily>> {
    let field = spec.required("amiSelectorTerms", reader)?;
    let items = terms(reader, &field);
    let mut family = None;
    for item in &items {
        let Some(mut term) = reader.object(item) else {
            continue;
        };
        let keys = ["alias", "tags", "id", "name", "ssmParameter", "owner"];
        let found = selectors(reader, &mut term, &keys);
        let is_alone = |key| found.iter().all(|other| *other == key || *other == "ssmParameter");
        if let Some(alias) = term.get("alias") {
            if !is_alone("alias") || items.len() > 1 {
                reader.broken(&alias, "an alias must be the only selector of the only term");
            }
            family = Some(alias_family(reader, &alias));
        }
        if found.contains(&"id") && !is_alone("id") {
            reader.broken(item, "`id` cannot be combined with other selectors");
        }
        if found == ["owner"] {
            reader.broken(item, "`owner` only narrows down other selectors");
        }
        reader.finish(term, Unknown::Error);
    }
    family
}

/// `family@version`.
fn alias_family(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<AmiFamily> {
    let text = reader.text(field)?;
    let families = [
        ("al2", AmiFamily::Al2),
        ("al2023", AmiFamily::Al2023),
        ("bottlerocket", AmiFamily::Bottlerocket),
        ("windows2019", AmiFamily::Windows2019),
        ("windows2022", AmiFamily::Windows2022),
        ("windows2025", AmiFamily::Windows2025),
    ];
    let (family, version) = text.split_once('@').unwrap_or((&text, ""));
    let known = families.iter().find(|(name, _)| *name == family).map(|(_, family)| *family);
    let names: Vec<&str> = families.iter().map(|(name, _)| *name).collect();
    if known.is_none() || version.is_empty() || text.len() > 30 {
        let rule = format!("an alias is FAMILY@VERSION with a family of {}", names.join(", "));
        reader.broken(field, &rule);
    } else if family.starts_with("windows") && version != "latest" {
        reader.broken(field, "Windows families have the version `latest` only");
    }
    known
}

fn ami_family(
    reader: &mut Reader<'_>,
    spec: &mut Object<'_>,
    alias: Option<Option<AmiFamily>>,
) -> Option<AmiFamily> {
    let Some(field) = spec.get("amiFamily") else {
        let has_alias = alias.is_some() || spec.get("amiSelectorTerms").is_none();
        if !has_alias {
            let rule = "is required when no term has an alias";
            let path = spec.path_of("amiFamily");
            reader.push(diagnostic::rule_broken(spec.field.span(), &path, rule));
        }
        return alias.flatten();
    };
    let family = reader.choice(&field, &AmiFamily::NAMES)?;
    if alias.flatten().is_some_and(|alias| alias != family && family != AmiFamily::Custom) {
        reader.broken(&field, "must be the alias' family or Custom");
    }
    Some(family)
}

/// Exactly one of `role` and `instanceProfile`.
fn identity(reader: &mut Reader<'_>, spec: &mut Object<'_>) {
    let role = spec.get("role");
    let profile = spec.get("instanceProfile");
    match (&role, &profile) {
        (Some(_), Some(profile)) => reader.broken(profile, "cannot stand together with `role`"),
        (None, None) => {
            let path = spec.path_of("role");
            let problem = diagnostic::missing_field(spec.field.span(), &path);
            reader.push(problem.help("write `role` or `instanceProfile`"));
        }
        _ => {}
    }
    for field in [role, profile].into_iter().flatten() {
        reader.filled_text(&field);
    }
}

fn tags(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<(String, String)> {
    const FORBIDDEN: [&str; 4] = [
        "eks:eks-cluster-name",
        "karpenter.k8s.aws/ec2nodeclass",
        "karpenter.sh/nodeclaim",
        "karpenter.sh/nodepool",
    ];
    let mut tags = Vec::new();
    for (key, span, value) in reader.entries(field) {
        let text = reader.text(&value);
        let forbidden =
            FORBIDDEN.contains(&key.as_str()) || key.starts_with("kubernetes.io/cluster");
        if key.is_empty() || forbidden {
            let rule = format!("the tag `{key}` is not allowed");
            reader.push(diagnostic::rule_broken(span, &field.path, &rule));
        } else if let Some(text) = text {
            tags.push((key, text));
        }
    }
    tags.sort_unstable();
    tags
}

/// Signals of eviction thresholds.
const SIGNALS: [&str; 6] = [
    "imagefs.available",
    "imagefs.inodesFree",
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "pid.available",
];

fn kubelet(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Kubelet> {
    let mut object = reader.object(field)?;
    let mut count = |name, object: &mut Object<'_>| {
        object.get(name).and_then(|field| reader.integer(&field, 0, i64::from(i32::MAX)))
    };
    let max_pods = count("maxPods", &mut object);
    let pods_per_core = count("podsPerCore", &mut object);
    let mut reserved = |name, object: &mut Object<'_>| match object.get(name) {
        Some(field) => reserved(reader, &field),
        None => ResourceVec::default(),
    };
    let kube_reserved = reserved("kubeReserved", &mut object);
    let system_reserved = reserved("systemReserved", &mut object);
    let mut kubelet =
        Kubelet { max_pods, pods_per_core, kube_reserved, system_reserved, ..Kubelet::default() };
    for (signal, threshold) in thresholds(reader, &mut object, "evictionHard") {
        match signal.as_str() {
            "memory.available" => kubelet.eviction_memory = Some(threshold),
            "nodefs.available" => kubelet.eviction_nodefs = Some(threshold),
            _ => {}
        }
    }
    soft_thresholds(reader, &mut object);
    garbage_collection(reader, &mut object);
    object.without_effect(&["evictionMaxPodGracePeriod", "clusterDNS", "cpuCFSQuota"], reader);
    reader.finish(object, Unknown::Error);
    Some(kubelet)
}

fn reserved(reader: &mut Reader<'_>, field: &Field<'_>) -> ResourceVec {
    for (key, span, _) in reader.entries(field) {
        let keys = ["cpu", "memory", "ephemeral-storage", "pid"];
        if !keys.contains(&key.as_str()) {
            let problem = diagnostic::unknown_value(span, &field.path, &key).suggest(&key, keys);
            reader.push(problem);
        }
    }
    resource_list(reader, field)
}

fn thresholds(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    name: &'static str,
) -> Vec<(String, Threshold)> {
    let mut list = Vec::new();
    let Some(field) = object.get(name) else {
        return list;
    };
    for (key, span, value) in reader.entries(&field) {
        if !SIGNALS.contains(&key.as_str()) {
            let problem = diagnostic::unknown_value(span, &field.path, &key).suggest(&key, SIGNALS);
            reader.push(problem);
        }
        let Some(text) = reader.text_or_number(&value, "a quantity or percentage") else {
            continue;
        };
        let threshold = match text.strip_suffix('%') {
            Some(percent) => parse_percent(percent).map(Threshold::Percent),
            None => quantity::parse_units(&text).filter(|bytes| *bytes >= 0).map(Threshold::Bytes),
        };
        match threshold {
            Some(threshold) => list.push((key, threshold)),
            None => reader.push(diagnostic::bad_quantity(value.span(), &text, &value.path)),
        }
    }
    list
}

/// `\d{1,2}(\.\d{1,2})?|100(\.0{1,2})?`
fn parse_percent(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_written_so = digits(whole) && digits(fraction) && (1..=2).contains(&fraction.len());
    let most = if whole == "100" { 3 } else { 2 };
    let percent = text.parse().ok().filter(|_| is_written_so && (1..=most).contains(&whole.len()));
    percent.filter(|percent| *percent <= 100.0)
}

/// Soft thresholds only warn, but each needs a grace period, and each grace period a threshold.
fn soft_thresholds(reader: &mut Reader<'_>, object: &mut Object<'_>) {
    thresholds(reader, object, "evictionSoft");
    let mut keys = |name, reader: &mut Reader<'_>| -> Vec<String> {
        let field = object.get(name);
        let entries = field.map(|field| reader.entries(&field)).unwrap_or_default();
        entries.into_iter().map(|(key, _, _)| key).collect()
    };
    let soft = keys("evictionSoft", reader);
    let grace = keys("evictionSoftGracePeriod", reader);
    let unmatched =
        |from: &[String], to: &[String]| from.iter().find(|key| !to.contains(key)).cloned();
    if let Some(key) = unmatched(&soft, &grace).or_else(|| unmatched(&grace, &soft)) {
        let rule = format!("`{key}` must stand in both evictionSoft and evictionSoftGracePeriod");
        reader.broken(&object.field, &rule);
    }
}

fn garbage_collection(reader: &mut Reader<'_>, object: &mut Object<'_>) {
    let mut percent = |name| object.get(name).and_then(|field| reader.integer(&field, 0, 100));
    let high = percent("imageGCHighThresholdPercent");
    let low = percent("imageGCLowThresholdPercent");
    if high.zip(low).is_some_and(|(high, low)| high <= low) {
        reader.broken(
            &object.field,
            "imageGCHighThresholdPercent must be above imageGCLowThresholdPercent",
        );
    }
}

fn block_devices(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<BlockDevice> {
    let items = reader.list(field);
    if items.len() > 50 {
        reader.broken(field, "at most 50 devices are allowed");
    }
    let devices: Vec<BlockDevice> =
        items.iter().filter_map(|item| block_device(reader, item)).collect();
    if devices.iter().filter(|device| device.root_volume).count() > 1 {
        reader.broken(field, "only one device may be the root volume");
    }
    devices
}

fn block_device(reader: &mut Reader<'_>, item: &Field<'_>) -> Option<BlockDevice> {
    let mut object = reader.object(item)?;
    let mut device = BlockDevice {
        device_name: object.get("deviceName").and_then(|field| reader.text(&field)),
        root_volume: object
            .get("rootVolume")
            .and_then(|field| reader.boolean(&field))
            .unwrap_or(false),
        volume_bytes: None,
    };
    let ebs = object.get("ebs");
    reader.finish(object, Unknown::Error);
    let Some(mut ebs) = ebs.and_then(|field| reader.object(&field)) else {
        return Some(device);
    };
    let size = ebs.get("volumeSize");
    let snapshot = ebs.get("snapshotID");
    if size.is_none() && snapshot.is_none() {
        reader.broken(&ebs.field, "needs volumeSize or snapshotID");
    }
    device.volume_bytes = size.and_then(|field| volume_size(reader, &field));
    if let Some(rate) = ebs.get("volumeInitializationRate") {
        reader.integer(&rate, 100, 300);
        if snapshot.and_then(|field| field.node.text()).is_none_or(str::is_empty) {
            reader.broken(&rate, "needs snapshotID");
        }
    }
    if let Some(field) = ebs.get("volumeType") {
        let types = ["standard", "io1", "io2", "gp2", "sc1", "st1", "gp3"].map(|name| (name, ()));
        reader.choice(&field, &types);
    }
    let drift_only = ["deleteOnTermination", "encrypted", "iops", "kmsKeyID", "throughput"];
    ebs.without_effect(&drift_only, reader);
    reader.finish(ebs, Unknown::Error);
    Some(device)
}

/// The CRD's pattern of volume sizes, with its odd gaps at 18, 19, 28, 29 ... Ti.
fn volume_size(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<i64> {
    let text = reader.text(field)?;
    let letters = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(letters);
    let number: i64 = if number.starts_with('0') { 0 } else { number.parse().unwrap_or(0) };
    let valid = match unit {
        "Gi" => (1..=59_000).contains(&number),
        "G" => (1..=64_000).contains(&number),
        "Ti" => {
            (1..=9).contains(&number)
                || (10..=57).contains(&number) && number % 10 <= 7
                || number == 58
        }
        "T" => (1..=64).contains(&number),
        _ => false,
    };
    if !valid {
        reader.broken(field, "must be a size from 1Gi to 58Ti in Gi, G, Ti or T");
        return None;
    }
    quantity::parse_units(&text)
}

fn metadata_options(reader: &mut Reader<'_>, field: &Field<'_>) {
    let Some(mut object) = reader.object(field) else {
        return;
    };
    let on_off = [("enabled", ()), ("disabled", ())];
    for name in ["httpEndpoint", "httpProtocolIPv6"] {
        if let Some(field) = object.get(name) {
            reader.choice(&field, &on_off);
        }
    }
    if let Some(field) = object.get("httpTokens") {
        reader.choice(&field, &[("required", ()), ("optional", ())]);
    }
    if let Some(field) = object.get("httpPutResponseHopLimit") {
        reader.integer(&field, 1, 64);
    }
    reader.finish(object, Unknown::Error);
}

/// The fields that enter the static hash: all but selector terms, `amiFamily` itself and
/// `ipPrefixCount`; the resolved family is in. Mappings and lists are written sorted, so that their
/// order is no drift.
fn drift_fields(spec: &Object<'_>, family: Option<AmiFamily>) -> String {
    const OUTSIDE: [&str; 6] = [
        "amiFamily",
        "amiSelectorTerms",
        "capacityReservationSelectorTerms",
        "ipPrefixCount",
        "securityGroupSelectorTerms",
        "subnetSelectorTerms",
    ];
    let mut fields = vec![format!("amiFamily: {}", family.map_or("", AmiFamily::name))];
    if let super::yaml::Value::Mapping(entries) = &spec.field.node.value {
        let inside = entries.iter().filter(|entry| !OUTSIDE.contains(&entry.key.as_str()));
        let text =
            |entry: &super::yaml::Entry| format!("{}: {}", entry.key, canonical(&entry.value));
        fields.extend(inside.filter(|entry| !canonical(&entry.value).is_empty()).map(text));
    }
    fields.sort_unstable();
    fields.join("; ")
}

/// A value as text, sorted; zero values are empty.
fn canonical(node: &super::yaml::Node) -> String {
    use super::yaml::Value;
    let mut parts: Vec<String> = match &node.value {
        Value::Scalar { text, .. } if text == "false" || text == "0" || node.is_null() => {
            Vec::new()
        }
        Value::Scalar { text, .. } => vec![text.clone()],
        Value::Sequence(items) => items.iter().map(canonical).collect(),
        Value::Mapping(entries) => entries
            .iter()
            .map(|entry| (entry, canonical(&entry.value)))
            .filter(|(_, text)| !text.is_empty())
            .map(|(entry, text)| format!("{}: {text}", entry.key))
            .collect(),
    };
    if let (Value::Scalar { .. }, [text]) = (&node.value, parts.as_slice()) {
        return text.clone();
    }
    parts.sort_unstable();
    if parts.is_empty() { String::new() } else { format!("{{{}}}", parts.join(", ")) }
}
