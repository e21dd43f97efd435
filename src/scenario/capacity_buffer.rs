//! CapacityBuffers of `autoscaling.x-k8s.io/v1beta1` and the PodTemplates that they name.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/autoscaling/v1beta1/capacitybuffer.go`.

use std::sync::Arc;

use super::pod::{self, PodOwner, PriorityClasses, resource_list};
use super::reader::{Field, Object, Reader, Unknown};
use crate::kube::capacity_buffer::{CapacityBuffer, PodShape, PodTemplate};

/// The only strategy that Karpenter has.
const ACTIVE: &str = "buffer.x-k8s.io/active-capacity";

/// Reads the spec of a CapacityBuffer; `None` when what it is about is missing or wrong.
pub fn read(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    (namespace, name): (&str, &str),
) -> Option<CapacityBuffer> {
    let spec = object.required("spec", reader)?;
    let mut spec = reader.object(&spec)?;
    let strategy = spec.get("provisioningStrategy");
    let template = spec.get("podTemplateRef");
    let scalable = spec.get("scalableRef");
    let replicas = spec.get("replicas");
    let percentage = spec.get("percentage");
    let limits = spec.get("limits");
    reader.finish(spec, Unknown::Error);
    if let Some(strategy) = strategy {
        reader.choice(&strategy, &[(ACTIVE, ())]);
    }
    match (&template, &percentage) {
        (Some(_), Some(percentage)) => {
            reader.broken(percentage, "percentage needs scalableRef");
        }
        (Some(template), None) if replicas.is_none() && limits.is_none() => {
            reader.broken(template, "podTemplateRef needs replicas or limits");
        }
        _ => {}
    }
    let mut count = |field: Option<Field<'_>>| -> Option<u32> {
        let number = reader.integer(&field?, 0, i32::MAX.into())?;
        u32::try_from(number).ok()
    };
    let (replicas, percentage) = (count(replicas), count(percentage));
    let limits = limits.map(|field| resource_list(reader, &field));
    let shape = match (template, scalable) {
        (Some(_), Some(second)) => {
            reader.broken(&second, "podTemplateRef and scalableRef exclude each other");
            None
        }
        (Some(template), None) => named(reader, &template).map(PodShape::PodTemplate),
        (None, Some(scalable)) => workload(reader, &scalable),
        (None, None) => {
            reader.broken(&object.field, "needs podTemplateRef or scalableRef");
            None
        }
    };
    let (namespace, name) = (namespace.into(), name.into());
    Some(CapacityBuffer { namespace, name, shape: shape?, replicas, percentage, limits })
}

fn named(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Arc<str>> {
    let mut object = reader.object(field)?;
    let name = object.required("name", reader);
    reader.finish(object, Unknown::Error);
    reader.filled_text(&name?).map(Arc::from)
}

fn workload(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<PodShape> {
    let mut object = reader.object(field)?;
    let group = object.get("apiGroup");
    let kind = object.required("kind", reader);
    let name = object.required("name", reader);
    reader.finish(object, Unknown::Error);
    if let Some(group) = group {
        reader.choice(&group, &[("apps", ()), ("", ())]);
    }
    // StatefulSets and ReplicaSets are not modelled, so that none can be named.
    let kind = kind.and_then(|field| reader.choice(&field, &[("Deployment", ())]));
    let name = name.and_then(|field| reader.filled_text(&field))?;
    kind.map(|()| PodShape::Deployment(name.into()))
}

/// Reads a PodTemplate.
pub fn pod_template(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    (namespace, name, id): (&str, &str, &str),
    (priorities, defaulted): (&PriorityClasses, bool),
) -> Option<PodTemplate> {
    let template = object.required("template", reader)?;
    let mut template = reader.object(&template)?;
    let metadata = template.get("metadata");
    let spec = template.required("spec", reader);
    reader.finish(template, Unknown::Note);
    let metadata = pod::metadata(reader, metadata.as_ref());
    let owner = PodOwner { namespace, workload: id, daemon: false, defaulted };
    let class = pod::class(reader, &spec?, metadata, &owner, priorities)?;
    Some(PodTemplate { namespace: namespace.into(), name: name.into(), template: Arc::new(class) })
}
