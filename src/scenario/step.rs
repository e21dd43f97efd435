//! Steps of the timeline that need no files: their targets are looked up among what exists by then.

use std::collections::BTreeSet;

use super::manifest::Cluster;
use super::ron_places::Place;
use super::schema::Action as Step;
use super::timeline::Gone;
use crate::diagnostic::{self, Diagnostic, SourceId, Span};
use crate::ec2::CapacityType;
use crate::ec2::capacity::{OfferingPattern, matches};
use crate::kube::pod::DoNotDisrupt;
use crate::simulation::{Action, DriftTarget, Fault, Target};
use crate::units::SimDuration;
use crate::world::faults::NodeCondition;

/// Factors by which a price may change.
const MIN_FACTOR: f64 = 0.001;
const MAX_FACTOR: f64 = 1_000.0;

/// What a step is read against.
pub(super) struct Reading<'a> {
    /// What is defined by then.
    pub(super) known: &'a Cluster,
    /// What of that was deleted by then.
    pub(super) gone: &'a Gone,
    /// The zones of the scenario.
    pub(super) zones: &'a [String],
    /// Names of all instance types; empty: names are not checked.
    pub(super) types: &'a BTreeSet<String>,
    /// The scenario's text.
    pub(super) source: SourceId,
    /// The places in it.
    pub(super) places: &'a Place,
    /// The step's path.
    pub(super) path: &'a str,
}

/// Reads a step. `Ok(None)` when its target may be defined in what could not be read.
pub(super) fn read(step: &Step, reading: &Reading<'_>) -> Result<Option<Action>, Box<Diagnostic>> {
    match step {
        Step::Scale(target, replicas) => {
            let Some([namespace, name]) = reading.namespaced(target, "Deployment")? else {
                return Ok(None);
            };
            Ok(Some(Action::Scale { namespace, name, replicas: *replicas }))
        }
        Step::Delete(target) => Ok(reading.deleted(target)?.map(Action::Delete)),
        Step::Drift(target) => reading.drift(target, "Drifted"),
        Step::ReleaseAmi(target) if target.starts_with("EC2NodeClass/") => {
            reading.drift(target, "AMIDrift")
        }
        Step::ReleaseAmi(target) => Err(reading.wrong(target, "write \"EC2NodeClass/NAME\"")),
        Step::Withdraw(types) => {
            let types = Some(reading.types("[0]", types)?);
            let offerings = OfferingPattern { types, zone: None, capacity_type: None };
            Ok(Some(Action::Withdraw { offerings }))
        }
        Step::DoNotDisrupt(target, nth) => {
            let Some([namespace, name]) = reading.namespaced(target, "Deployment")? else {
                return Ok(None);
            };
            let (nth, protection) = (*nth as usize, DoNotDisrupt::Always);
            Ok(Some(Action::DoNotDisrupt { namespace, name, nth, protection }))
        }
        Step::StockOut { types, zone, capacity_type, lasts } => {
            let offerings = reading.offerings(types, zone, capacity_type)?;
            let lasts = reading.duration("lasts", lasts)?;
            Ok(Some(Action::StockOut { offerings, lasts }))
        }
        Step::PriceChange { types, zone, capacity_type, factor } => {
            let offerings = reading.offerings(types, zone, capacity_type)?;
            if !(MIN_FACTOR..=MAX_FACTOR).contains(factor) {
                let rule = format!("it must be from {MIN_FACTOR} to {MAX_FACTOR}");
                let span = reading.span("factor");
                let problem = diagnostic::out_of_range(span, "factor", &factor.to_string(), &rule);
                return Err(Box::new(problem));
            }
            Ok(Some(Action::PriceChange { offerings, factor: *factor }))
        }
        Step::Restart => Ok(Some(Action::Restart)),
        // Read with their files and objects.
        Step::Apply(_) | Step::Patch(_) => Ok(None),
        Step::FailLaunches(target, lasts) => {
            let (pool, lasts) = (reading.pool(target)?, reading.duration("[1]", lasts)?);
            Ok(pool.map(|pool| Action::FailLaunches { pool, lasts }))
        }
        Step::FailJoins(target, lasts) => {
            let (pool, lasts) = (reading.pool(target)?, reading.duration("[1]", lasts)?);
            Ok(pool.map(|pool| Action::FailJoins { pool, lasts }))
        }
        Step::Interrupt(target, count) => reading.fault(target, *count, Fault::Interruption),
        Step::RecommendRebalance(target, count) => {
            reading.fault(target, *count, Fault::RebalanceRecommendation)
        }
        Step::RetireInstances(target, count, notice) => {
            let notice = reading.duration("[2]", notice)?;
            reading.fault(target, *count, Fault::Retirement { notice })
        }
        Step::ImpairInstances(target, count) => reading.fault(target, *count, Fault::Impairment),
        Step::LoseInstances(target, count) => reading.fault(target, *count, Fault::Loss),
        Step::BreakNodes(target, count, condition) => {
            let condition = reading.condition(condition)?;
            reading.fault(target, *count, Fault::BadCondition(condition))
        }
    }
}

impl Reading<'_> {
    /// Where the step's argument of a name or position stands.
    fn span(&self, argument: &str) -> Span {
        let dot = if argument.starts_with('[') { "" } else { "." };
        let range = self.places.at(&format!("{}{dot}{argument}", self.path)).span.clone();
        Span { source: self.source, start: range.start, end: range.end }
    }

    /// True when an object of one of the kinds is defined, false when it may be defined where nothing could be read.
    pub(super) fn patched(&self, target: &str, kinds: &[&str]) -> Result<bool, Box<Diagnostic>> {
        let kind = target.split('/').next().unwrap_or_default();
        if !kinds.contains(&kind) {
            return Err(
                self.wrong(target, &format!("only these can be patched: {}", kinds.join(", ")))
            );
        }
        self.exists(target)
    }

    /// A name of instance types, which some instance type has.
    fn types(&self, argument: &str, pattern: &str) -> Result<String, Box<Diagnostic>> {
        if self.types.is_empty() || self.types.iter().any(|name| matches(pattern, name)) {
            return Ok(pattern.to_owned());
        }
        let problem = diagnostic::no_such_types(self.span(argument), pattern);
        let families = self.types.iter().filter_map(|name| name.split_once('.'));
        let families: BTreeSet<String> =
            families.map(|(family, _)| format!("{family}.*")).collect();
        let names: Vec<&str> = match pattern.contains('*') {
            true => families.iter().map(String::as_str).collect(),
            false => self.types.iter().map(String::as_str).collect(),
        };
        Err(Box::new(problem.suggest(pattern, names)))
    }

    fn offerings(
        &self,
        types: &Option<String>,
        zone: &Option<String>,
        capacity_type: &Option<String>,
    ) -> Result<OfferingPattern, Box<Diagnostic>> {
        let types = types.as_ref().map(|pattern| self.types("types", pattern)).transpose()?;
        let zone = self.zone(zone.as_deref())?;
        let capacity_type = self.capacity_type(capacity_type.as_deref())?;
        Ok(OfferingPattern { types, zone, capacity_type })
    }

    fn wrong(&self, target: &str, help: &str) -> Box<Diagnostic> {
        Box::new(diagnostic::bad_target(self.span("[0]"), target).help(help))
    }

    /// True when the target is defined, false when it may be defined where nothing could be read.
    fn exists(&self, target: &str) -> Result<bool, Box<Diagnostic>> {
        let gone = self.gone.get(target);
        if gone.is_none() && self.known.places.contains_key(target) {
            return Ok(true);
        }
        if self.known.incomplete {
            return Ok(false);
        }
        if let Some((when, deleted)) = gone {
            let problem = diagnostic::deleted_target(self.span("[0]"), target, &when.to_string());
            return Err(Box::new(problem.also(*deleted, "deleted here")));
        }
        let kind = target.split('/').next().unwrap_or_default();
        let ids = self.known.places.keys().map(String::as_str);
        let same_kind = ids.filter(|id| id.split('/').next() == Some(kind));
        let problem = diagnostic::unknown_target(self.span("[0]"), target);
        Err(Box::new(problem.suggest(target, same_kind)))
    }

    /// A NodePool's name; `None` when it may be defined where nothing could be read.
    fn pool(&self, target: &str) -> Result<Option<String>, Box<Diagnostic>> {
        let Some(pool) = target.strip_prefix("NodePool/") else {
            return Err(self.wrong(target, "write \"NodePool/NAME\""));
        };
        Ok(self.exists(target)?.then(|| pool.to_owned()))
    }

    fn fault(
        &self,
        target: &str,
        count: u32,
        fault: Fault,
    ) -> Result<Option<Action>, Box<Diagnostic>> {
        let count = count as usize;
        Ok(self.pool(target)?.map(|pool| Action::Fault { fault, pool, count }))
    }

    fn duration(&self, place: &str, text: &str) -> Result<SimDuration, Box<Diagnostic>> {
        let problem = || Box::new(diagnostic::bad_duration(self.span(place), text, "lasts"));
        SimDuration::parse(text).ok_or_else(problem)
    }

    fn condition(&self, name: &str) -> Result<NodeCondition, Box<Diagnostic>> {
        let found = NodeCondition::ALL.into_iter().find(|condition| condition.name() == name);
        found.ok_or_else(|| {
            let problem = diagnostic::unknown_value(self.span("[2]"), "condition", name);
            Box::new(problem.suggest(name, NodeCondition::ALL.map(NodeCondition::name)))
        })
    }

    fn namespaced(&self, target: &str, kind: &str) -> Result<Option<[String; 2]>, Box<Diagnostic>> {
        let parts: Vec<&str> = target.split('/').collect();
        match parts.as_slice() {
            [own, namespace, name] if *own == kind => {
                let names = [(*namespace).to_owned(), (*name).to_owned()];
                Ok(self.exists(target)?.then_some(names))
            }
            _ => Err(self.wrong(target, &format!("write \"{kind}/NAMESPACE/NAME\""))),
        }
    }

    fn drift(&self, target: &str, reason: &str) -> Result<Option<Action>, Box<Diagnostic>> {
        let found = match target.split_once('/') {
            Some(("NodePool", name)) => DriftTarget::NodePool(name.to_owned()),
            Some(("EC2NodeClass", name)) => DriftTarget::NodeClass(name.to_owned()),
            _ => {
                let help = "write \"NodePool/NAME\" or \"EC2NodeClass/NAME\"";
                return Err(self.wrong(target, help));
            }
        };
        let action = Action::Drift { target: found, reason: reason.into() };
        Ok(self.exists(target)?.then_some(action))
    }

    fn deleted(&self, target: &str) -> Result<Option<Target>, Box<Diagnostic>> {
        let parts: Vec<&str> = target.split('/').collect();
        let own = |text: &str| text.to_owned();
        let found = match parts.as_slice() {
            // Nodes come and go: whether one of the name exists is seen when it is time.
            ["Node" | "NodeClaim", name] => return Ok(Some(Target::Node(own(name)))),
            ["NodePool", name] => Target::NodePool(own(name)),
            ["NodeOverlay", name] => Target::NodeOverlay(own(name)),
            ["Deployment", namespace, name] => Target::Deployment(own(namespace), own(name)),
            ["Job", namespace, name] => Target::Job(own(namespace), own(name)),
            ["CapacityBuffer", namespace, name] => {
                Target::CapacityBuffer(own(namespace), own(name))
            }
            ["PodDisruptionBudget", namespace, name] => {
                Target::DisruptionBudget(own(namespace), own(name))
            }
            _ => {
                let help = "write \"NodePool/NAME\", \"Node/NAME\", or \"Deployment/NAMESPACE/NAME\", \
                            likewise for a Job or a PodDisruptionBudget";
                return Err(self.wrong(target, help));
            }
        };
        Ok(self.exists(target)?.then_some(found))
    }

    fn zone(&self, zone: Option<&str>) -> Result<Option<String>, Box<Diagnostic>> {
        match zone.filter(|zone| !self.zones.iter().any(|known| known == zone)) {
            None => Ok(zone.map(str::to_owned)),
            Some(zone) => {
                let problem = diagnostic::unknown_zone(self.span("zone"), zone, "the cluster");
                let zones = self.zones.iter().map(String::as_str);
                Err(Box::new(problem.suggest(zone, zones)))
            }
        }
    }

    fn capacity_type(&self, name: Option<&str>) -> Result<Option<CapacityType>, Box<Diagnostic>> {
        let Some(name) = name else {
            return Ok(None);
        };
        let names = CapacityType::ALL.map(CapacityType::name);
        CapacityType::parse(name).map(Some).ok_or_else(|| {
            let span = self.span("capacity_type");
            let problem = diagnostic::unknown_value(span, "capacity_type", name);
            Box::new(problem.suggest(name, names))
        })
    }
}
