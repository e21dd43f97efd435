//! Jobs of `batch/v1`.
//!
//! Kubernetes does not say how long a pod runs; an annotation of the pod template does here.

use std::sync::Arc;

use super::pod::{self, PodOwner, PriorityClasses};
use super::reader::{Field, Object, Reader, Unknown};
use crate::kube::workload::{BACKOFF_LIMIT, Job};
use crate::units::SimDuration;

/// From Running to Succeeded, as a duration.
pub const DURATION: &str = "karpsim/duration";
/// The same in seconds, in recorded timelines.
pub const RECORDED_DURATION: &str = "timeline.karpsim/duration-s";

/// Reads the spec of a Job.
pub fn read(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    (namespace, name, id): (&str, &str, &str),
    priorities: &PriorityClasses,
    defaulted: bool,
) -> Option<Job> {
    let spec = object.required("spec", reader)?;
    let mut spec = reader.object(&spec)?;
    let completions = spec.get("completions");
    let parallelism = spec.get("parallelism");
    let ttl = spec.get("ttlSecondsAfterFinished");
    let template = spec.required("template", reader);
    spec.refuse("suspend", "it keeps the pods from being made", reader);
    let backoff_limit = spec.get("backoffLimit");
    let failure_policy = spec.get("podFailurePolicy");
    let replacement_policy = spec.get("podReplacementPolicy");
    let ignored = ["activeDeadlineSeconds", "completionMode", "manualSelector", "selector"];
    spec.without_effect(&ignored, reader);
    spec.refuse("backoffLimitPerIndex", "it limits the failures of each index by itself", reader);
    reader.finish(spec, Unknown::Note);
    let backoff_limit = backoff_limit
        .and_then(|field| reader.integer(&field, 0, i64::from(i32::MAX)))
        .and_then(|limit| u32::try_from(limit).ok());
    let waits = match replacement_policy {
        Some(field) => {
            let words = [("Failed", true), ("TerminatingOrFailed", false)];
            reader.choice(&field, &words).unwrap_or(false)
        }
        None => failure_policy.is_some(),
    };
    let ignores_evictions = failure_policy.is_some_and(|field| ignores_evictions(reader, &field));
    let count = |reader: &mut Reader<'_>, field: Option<Field<'_>>| {
        let count = field.and_then(|field| reader.integer(&field, 0, 1_000_000));
        count.and_then(|count| u32::try_from(count).ok())
    };
    let parallelism = count(reader, parallelism).unwrap_or(1);
    let completions = count(reader, completions).unwrap_or(parallelism);
    let ttl = ttl.and_then(|field| reader.integer(&field, 0, i64::from(i32::MAX)));
    let template = template?;
    let mut template = reader.object(&template)?;
    let metadata = template.get("metadata");
    let pod_spec = template.required("spec", reader);
    let place = template.field.clone();
    reader.finish(template, Unknown::Note);
    let duration = duration(reader, metadata.as_ref(), &place);
    let metadata = pod::metadata(reader, metadata.as_ref());
    let owner = PodOwner { namespace, workload: id, daemon: false, defaulted };
    let class = pod::class(reader, &pod_spec?, metadata, &owner, priorities)?;
    Some(Job {
        namespace: namespace.into(),
        name: name.into(),
        completions,
        parallelism,
        duration: duration?,
        pod_ttl: ttl.map(SimDuration::from_seconds),
        backoff_limit: backoff_limit.unwrap_or(BACKOFF_LIMIT),
        ignores_evictions,
        waits_for_termination: waits,
        template: Arc::new(class),
    })
}

/// Whether the first rule of a `podFailurePolicy` that takes an evicted pod ignores it. Rules for exit codes take none:
/// pods are stopped by SIGTERM, and which code a program then ends with is not known.
fn ignores_evictions(reader: &mut Reader<'_>, policy: &Field<'_>) -> bool {
    let rules = reader.object(policy).and_then(|mut policy| policy.get("rules"));
    let rules = rules.map(|field| reader.list(&field)).unwrap_or_default();
    for rule in rules {
        let Some(mut rule) = reader.object(&rule) else { continue };
        let (action, conditions) = (rule.get("action"), rule.get("onPodConditions"));
        let conditions = conditions.map(|field| reader.list(&field)).unwrap_or_default();
        let takes = conditions.iter().any(|condition| {
            let kind = reader.object(condition).and_then(|mut condition| condition.get("type"));
            kind.and_then(|kind| reader.text(&kind)).as_deref() == Some("DisruptionTarget")
        });
        if takes {
            return action.and_then(|action| reader.text(&action)).as_deref() == Some("Ignore");
        }
    }
    false
}

/// The annotation that says how long the pods run.
fn duration(
    reader: &mut Reader<'_>,
    metadata: Option<&Field<'_>>,
    template: &Field<'_>,
) -> Option<SimDuration> {
    let annotations =
        metadata.and_then(|m| reader.object(m)).and_then(|mut m| m.get("annotations"));
    let entries = annotations.map(|field| reader.entries(&field)).unwrap_or_default();
    for (key, _, value) in entries {
        let text = match key.as_str() {
            DURATION => reader.text(&value)?,
            RECORDED_DURATION => format!("{}s", reader.text(&value)?),
            _ => continue,
        };
        let duration = SimDuration::parse(&text);
        if duration.is_none() {
            reader.broken(&value, "must be a duration such as 10m");
        }
        return duration;
    }
    let rule = format!("annotate the template with `{DURATION}`, the time that its pods run");
    reader.broken(template, &rule);
    None
}
