//! The scripts of recorded timelines: what happens to the cluster at which second.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{NotComparable, malformed, objects};
use crate::ec2::CapacityType;
use crate::ec2::capacity::OfferingPattern;
use crate::kube::pod::DoNotDisrupt;
use crate::simulation::{Action, DriftTarget, Objects, PoolConfig, Target};
use crate::units::{SimDuration, SimTime, Symbols};

/// Recorded workloads live in one namespace.
const NAMESPACE: &str = "default";

/// Reads scripts. Patches are applied to the objects as they are at that time, so that they become whole objects again.
pub(super) struct Script<'a> {
    /// The present objects by kind and name.
    present: BTreeMap<(String, String), Value>,
    symbols: &'a mut Symbols,
    /// A NodePool of the recording as it is configured.
    configure: &'a dyn Fn(crate::kube::NodePool) -> PoolConfig,
}

impl<'a> Script<'a> {
    pub(super) fn new(
        objects: &Value,
        symbols: &'a mut Symbols,
        configure: &'a dyn Fn(crate::kube::NodePool) -> PoolConfig,
    ) -> Script<'a> {
        let list = objects.as_array().into_iter().flatten();
        let present = list.map(|object| (id(object), object.clone())).collect();
        Script { present, symbols, configure }
    }

    pub(super) fn read(&mut self, steps: &Value) -> Result<Vec<(SimTime, Action)>, NotComparable> {
        let steps = steps.as_array().ok_or_else(|| malformed("script is not a list"))?;
        let mut steps: Vec<(SimTime, &Value)> = steps
            .iter()
            .map(|step| {
                let at = step["t_s"].as_f64();
                let at = at.ok_or_else(|| malformed("script: t_s is missing"))?;
                Ok((SimTime::from_ms(libm::round(at * 1_000.0) as i64), step))
            })
            .collect::<Result<_, NotComparable>>()?;
        steps.sort_by_key(|(at, _)| *at);
        steps.into_iter().map(|(at, step)| Ok((at, self.action(step)?))).collect()
    }

    fn action(&mut self, step: &Value) -> Result<Action, NotComparable> {
        let text = |field: &str| step[field].as_str().unwrap_or_default().to_owned();
        let nth = step["nth"].as_u64().unwrap_or(0) as usize;
        let namespace = NAMESPACE.to_owned();
        match text("op").as_str() {
            "scale" => {
                let replicas = step["replicas"].as_u64().and_then(|n| u32::try_from(n).ok());
                let replicas = replicas.ok_or_else(|| malformed("scale without replicas"))?;
                Ok(Action::Scale { namespace, name: text("name"), replicas })
            }
            "apply" => {
                self.present.insert(id(&step["object"]), step["object"].clone());
                Ok(Action::Apply(self.objects(&step["object"])?))
            }
            "patch" => self.patch(&text("kind"), &text("name"), &step["patch"]),
            "delete" => delete(&text("kind"), text("name")),
            "interrupt" => Ok(Action::InterruptNth(nth)),
            "do_not_disrupt" => {
                let reason = text("reason");
                let protection = match SimDuration::parse(&reason) {
                    _ if reason.is_empty() || reason == "true" => DoNotDisrupt::Always,
                    Some(span) => DoNotDisrupt::For(span),
                    None => DoNotDisrupt::No,
                };
                Ok(Action::DoNotDisrupt { namespace, name: text("name"), nth, protection })
            }
            "nodeclass_drift" => {
                let target = DriftTarget::NodeClass(text("name"));
                Ok(Action::Drift { target, reason: text("reason").into() })
            }
            "ice" => stock_out(&step["ice"]),
            op => Err(NotComparable::NotModelled(format!("script operation {op}"))),
        }
    }

    fn patch(&mut self, kind: &str, name: &str, patch: &Value) -> Result<Action, NotComparable> {
        let key = (kind.to_owned(), name.to_owned());
        let object = self.present.get_mut(&key);
        let object = object.ok_or_else(|| malformed(format!("patch of {kind}/{name}")))?;
        merge(object, patch);
        let object = object.clone();
        let objects = self.objects(&object)?;
        let object = format!("{kind}/{name}").into();
        Ok(Action::Patch { object, objects, keeps_replicas: false })
    }

    /// One object as the simulation takes it.
    fn objects(&mut self, object: &Value) -> Result<Objects, NotComparable> {
        let classes = self.present.values().filter(|o| o["kind"] == "EC2NodeClass");
        let mut list: Vec<Value> = classes.cloned().collect();
        list.push(object.clone());
        let read = objects::read(&list, self.symbols)?;
        Ok(Objects {
            node_overlays: read.node_overlays,
            capacity_buffers: read.capacity_buffers,
            pod_templates: read.pod_templates,
            pools: read.node_pools.into_iter().map(self.configure).collect(),
            deployments: read.deployments,
            jobs: read.jobs,
            daemon_sets: read.daemon_sets,
            disruption_budgets: read.disruption_budgets,
            pods: read.pods,
        })
    }
}

fn id(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.shift_remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

fn delete(kind: &str, name: String) -> Result<Action, NotComparable> {
    let namespace = NAMESPACE.to_owned();
    Ok(Action::Delete(match kind {
        "NodePool" => Target::NodePool(name),
        "Node" | "NodeClaim" => Target::Node(name),
        "Deployment" => Target::Deployment(namespace, name),
        "Job" => Target::Job(namespace, name),
        "PodDisruptionBudget" => Target::DisruptionBudget(namespace, name),
        kind => return Err(NotComparable::NotModelled(format!("deletion of a {kind}"))),
    }))
}

fn stock_out(ice: &Value) -> Result<Action, NotComparable> {
    let text = |field: &str| ice[field].as_str().filter(|text| !text.is_empty());
    let lasts = ice["for_s"].as_i64().ok_or_else(|| malformed("ice without for_s"))?;
    let capacity_type = match text("capacityType") {
        None => None,
        Some(name) => Some(
            CapacityType::parse(name).ok_or_else(|| malformed(format!("capacity type {name}")))?,
        ),
    };
    let offerings = OfferingPattern {
        types: text("type").map(str::to_owned),
        zone: text("zone").map(str::to_owned),
        capacity_type,
    };
    Ok(Action::StockOut { offerings, lasts: SimDuration::from_seconds(lasts) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 7386, appendix A.
    #[test]
    fn merge_patches_follow_the_rfc() {
        for (mut target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            merge(&mut target, &patch);
            assert_eq!(target, expected);
        }
    }
}
