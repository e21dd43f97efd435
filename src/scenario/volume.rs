//! StorageClasses, PersistentVolumeClaims, PersistentVolumes and CSINodes.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/volumetopology.go`,
//! `pkg/scheduling/volumeusage.go`.

use std::sync::Arc;

use super::reader::{Field, Object, Reader, Unknown};
use super::requirement::{self, Owner};
use crate::kube::label;
use crate::kube::requirement::{Operator, Requirement, Requirements};
use crate::kube::volume::{PodVolume, Storage, StorageClass, Volume, VolumeClaim, csi_driver};

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";

/// Reads one of the storage kinds into `storage`.
pub fn read(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    kind: &str,
    (namespace, name): (&str, &str),
    storage: &mut Storage,
) {
    let name: Arc<str> = name.into();
    match kind {
        "StorageClass" => {
            let class = storage_class(reader, object, name.clone());
            storage.classes.extend(class.map(|class| (name, class)));
        }
        "PersistentVolumeClaim" => {
            let claim = volume_claim(reader, object);
            storage.claims.insert((namespace.into(), name), claim);
        }
        "PersistentVolume" => {
            let volume = volume(reader, object);
            storage.volumes.insert(name, volume);
        }
        _ => {
            let limits = attach_limits(reader, object);
            storage.attach_limits.insert(name, limits);
        }
    }
}

/// The text of an annotation, read from the tree: the metadata was read before.
fn annotation(object: &Object<'_>, key: &str) -> Option<String> {
    let annotations = object.field.node.get("metadata")?.get("annotations")?;
    annotations.get(key)?.text().map(str::to_owned)
}

fn is_deleting(object: &Object<'_>) -> bool {
    let metadata = object.field.node.get("metadata");
    metadata.and_then(|m| m.get("deletionTimestamp")).is_some_and(|stamp| !stamp.is_null())
}

fn storage_class(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    name: Arc<str>,
) -> Option<StorageClass> {
    let provisioner = object.required("provisioner", reader);
    let mode = object.get("volumeBindingMode");
    let topologies = object.get("allowedTopologies");
    object.without_effect(
        &["parameters", "reclaimPolicy", "allowVolumeExpansion", "mountOptions"],
        reader,
    );
    let modes = [("Immediate", true), ("WaitForFirstConsumer", false)];
    let immediate = mode.and_then(|field| reader.choice(&field, &modes)).unwrap_or(true);
    let provisioner = provisioner.and_then(|field| reader.filled_text(&field))?;
    let topologies = topologies.map(|field| reader.list(&field)).unwrap_or_default();
    Some(StorageClass {
        name,
        driver: csi_driver(&provisioner).into(),
        immediate,
        topologies: topologies.iter().filter_map(|item| topology(reader, item)).collect(),
        default: annotation(object, DEFAULT_CLASS).as_deref() == Some("true"),
    })
}

/// One entry of `allowedTopologies`; `None` for one without expressions.
fn topology(reader: &mut Reader<'_>, item: &Field<'_>) -> Option<Requirements> {
    let mut object = reader.object(item)?;
    let expressions = object.get("matchLabelExpressions");
    reader.finish(object, Unknown::Note);
    let mut result = Requirements::default();
    for item in expressions.map(|field| reader.list(&field)).unwrap_or_default() {
        let Some(mut expression) = reader.object(&item) else {
            continue;
        };
        let key = expression.required("key", reader).and_then(|field| reader.filled_text(&field));
        let values = expression.required("values", reader);
        reader.finish(expression, Unknown::Note);
        let values = values.map(|field| reader.list(&field)).unwrap_or_default();
        let texts: Vec<String> = values.iter().filter_map(|item| reader.text(item)).collect();
        let values: Vec<_> = texts.iter().map(|v| reader.symbols.intern_value(v)).collect();
        if let Some(key) = key {
            let key = reader.symbols.intern(label::normalize(&key));
            result.add(key, Requirement::new(Operator::In, values));
        }
    }
    (!result.is_empty()).then_some(result)
}

fn volume_claim(reader: &mut Reader<'_>, object: &mut Object<'_>) -> VolumeClaim {
    let mut claim = VolumeClaim {
        bound: annotation(object, BIND_COMPLETED).is_some(),
        deleting: is_deleting(object),
        ..VolumeClaim::default()
    };
    let status = object.field.node.get("status");
    claim.lost = status.and_then(|s| s.get("phase")).and_then(|p| p.text()) == Some("Lost");
    let Some(mut spec) = object.get("spec").and_then(|field| reader.object(&field)) else {
        return claim;
    };
    let mut text = |name, reader: &mut Reader<'_>| {
        spec.get(name).and_then(|field| reader.text(&field)).map(Arc::from)
    };
    claim.storage_class = text("storageClassName", reader);
    claim.volume = text("volumeName", reader).filter(|name: &Arc<str>| !name.is_empty());
    spec.without_effect(
        &["accessModes", "resources", "volumeMode", "selector", "dataSource", "dataSourceRef"],
        reader,
    );
    spec.without_effect(&["volumeAttributesClassName"], reader);
    reader.finish(spec, Unknown::Note);
    claim
}

fn volume(reader: &mut Reader<'_>, object: &mut Object<'_>) -> Volume {
    let mut volume = Volume { deleting: is_deleting(object), ..Volume::default() };
    let Some(mut spec) = object.get("spec").and_then(|field| reader.object(&field)) else {
        return volume;
    };
    let csi = spec.get("csi").and_then(|field| field.node.get("driver"));
    volume.driver = csi.and_then(|driver| driver.text()).map(Arc::from);
    if spec.get("awsElasticBlockStore").is_some() {
        volume.driver = Some("ebs.csi.aws.com".into());
    }
    let local = [spec.get("local"), spec.get("hostPath")].iter().any(Option::is_some);
    let affinity = spec.get("nodeAffinity").and_then(|field| reader.object(&field));
    spec.without_effect(
        &[
            "accessModes",
            "capacity",
            "claimRef",
            "mountOptions",
            "nfs",
            "persistentVolumeReclaimPolicy",
            "storageClassName",
            "volumeMode",
        ],
        reader,
    );
    reader.finish(spec, Unknown::Note);
    let Some(mut affinity) = affinity else {
        return volume;
    };
    let required = affinity.get("required").and_then(|field| reader.object(&field));
    reader.finish(affinity, Unknown::Note);
    let Some(mut required) = required else {
        return volume;
    };
    let terms = required.required("nodeSelectorTerms", reader);
    reader.finish(required, Unknown::Note);
    for item in terms.map(|field| reader.list(&field)).unwrap_or_default() {
        volume.topologies.extend(volume_term(reader, &item, local));
    }
    volume
}

/// A term of a volume's node affinity; `None` for one without expressions.
fn volume_term(reader: &mut Reader<'_>, item: &Field<'_>, local: bool) -> Option<Requirements> {
    let mut object = reader.object(item)?;
    let expressions = object.get("matchExpressions");
    object.without_effect(&["matchFields"], reader);
    reader.finish(object, Unknown::Note);
    let mut term = requirement::requirements(reader, &expressions?, Owner::Volume);
    if term.is_empty() {
        return None;
    }
    if local {
        term.remove(label::HOSTNAME);
    }
    Some(term)
}

/// The drivers of a CSINode with a limit.
fn attach_limits(reader: &mut Reader<'_>, object: &mut Object<'_>) -> Vec<(Arc<str>, usize)> {
    let mut limits = Vec::new();
    let Some(mut spec) = object.get("spec").and_then(|field| reader.object(&field)) else {
        return limits;
    };
    let drivers = spec.get("drivers").map(|field| reader.list(&field)).unwrap_or_default();
    reader.finish(spec, Unknown::Note);
    for item in drivers {
        let Some(mut driver) = reader.object(&item) else {
            continue;
        };
        let name = driver.required("name", reader).and_then(|field| reader.filled_text(&field));
        let count = driver.get("allocatable").and_then(|field| reader.object(&field));
        driver.without_effect(&["nodeID", "topologyKeys"], reader);
        reader.finish(driver, Unknown::Note);
        let count = count.and_then(|mut allocatable| {
            let count = allocatable.get("count");
            reader.finish(allocatable, Unknown::Note);
            reader.integer(&count?, 0, i32::MAX.into())
        });
        if let Some((name, count)) = name.zip(count.and_then(|count| usize::try_from(count).ok())) {
            limits.push((name.into(), count));
        }
    }
    limits
}

/// The volumes of a pod that need a claim.
pub fn pod_volumes(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<PodVolume> {
    let items = reader.list(field);
    items.iter().filter_map(|item| pod_volume(reader, item)).collect()
}

fn pod_volume(reader: &mut Reader<'_>, item: &Field<'_>) -> Option<PodVolume> {
    let mut object = reader.object(item)?;
    let name = object.get("name");
    let claim = object.get("persistentVolumeClaim").and_then(|field| reader.object(&field));
    let ephemeral = object.get("ephemeral").and_then(|field| reader.object(&field));
    object.refuse("awsElasticBlockStore", "write a PersistentVolume for it", reader);
    if let Some(mut claim) = claim {
        let name = claim.required("claimName", reader);
        claim.without_effect(&["readOnly"], reader);
        reader.finish(claim, Unknown::Note);
        return Some(PodVolume::Claim(reader.filled_text(&name?)?.into()));
    }
    let Some(mut ephemeral) = ephemeral else {
        reader.note_without_effect(&object.field);
        return None;
    };
    let template = ephemeral.required("volumeClaimTemplate", reader);
    reader.finish(ephemeral, Unknown::Note);
    let mut template = reader.object(&template?)?;
    let spec = template.required("spec", reader);
    template.without_effect(&["metadata"], reader);
    reader.finish(template, Unknown::Note);
    let mut spec = reader.object(&spec?)?;
    let class = spec.get("storageClassName").and_then(|field| reader.text(&field));
    spec.without_effect(&["accessModes", "resources", "volumeMode"], reader);
    reader.finish(spec, Unknown::Note);
    Some(PodVolume::Ephemeral {
        volume: reader.filled_text(&name?)?.into(),
        storage_class: class.map(Arc::from),
    })
}
