//! A loaded scenario and the EC2 catalogue become what a run starts from.
//!
//! Nothing is decided here: names become objects, texts that were checked at load become settings. Objects that a
//! timeline step applies are resolved against what exists by then.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::latency::{self, distribution};
use super::load::{LoadedScenario, TimelineAction};
use super::manifest::Objects;
use super::schema::{MinValuesPolicy, NodeTies, PreferencePolicy, TieBreaks, Victims};
use super::settings::Settings;
use crate::diagnostic::{self, Diagnostics};
use crate::ec2::capacity::OfferingPattern;
use crate::ec2::node_class::NodeClass;
use crate::ec2::{self, CapacityType, InstanceType, overlay};
use crate::kube::node_pool::{BudgetNodes, ConsolidationPolicy};
use crate::kube::{NodePool, label, node_overlay};
use crate::outcome::Header;
use crate::simulation::{self, Action, Config, PoolConfig};
use crate::units::{SimDuration, SimTime, Symbols};
use crate::world::settings::TieBreaks as WorldTieBreaks;
use crate::world::settings::{
    Boot, Gates, JobRetries, KarpenterOptions, Latency, PodUids, SchedulerTies,
    Settings as WorldSettings, UNAVAILABLE_FOR, VictimRule,
};

/// What a run of `loaded` starts from, with the catalogue's instance types and prices.
pub fn config(loaded: &LoadedScenario, catalog: &ec2::Catalog) -> Config {
    let mut resolver = Resolver {
        settings: &loaded.settings,
        catalog,
        symbols: loaded.symbols.clone(),
        classes: BTreeMap::new(),
        pools: BTreeMap::new(),
        offered: BTreeMap::new(),
    };
    let pools = resolver.put(&loaded.objects);
    let timeline = loaded.timeline.iter();
    let timeline = timeline.map(|(at, action)| (*at, resolver.action(action))).collect();
    Config {
        settings: Arc::new(world_settings(&loaded.settings)),
        symbols: resolver.symbols,
        pools,
        deployments: loaded.objects.deployments.clone(),
        jobs: loaded.objects.jobs.clone(),
        daemon_sets: loaded.objects.daemon_sets.clone(),
        node_overlays: loaded.objects.node_overlays.clone(),
        capacity_buffers: loaded.objects.capacity_buffers.clone(),
        pod_templates: loaded.objects.pod_templates.clone(),
        disruption_budgets: loaded.objects.disruption_budgets.clone(),
        pods: loaded.objects.pods.clone(),
        storage: loaded.objects.storage.clone(),
        namespaces: loaded.objects.namespaces.clone(),
        timeline,
        sources: loaded.sources.clone(),
        replicas: loaded.replicas.clone(),
        horizon: SimTime::ZERO + loaded.settings.horizon,
    }
}

/// Warns of workloads of which no new node takes a single pod.
pub fn warn_of_unplaceable(
    loaded: &LoadedScenario,
    config: &Arc<Config>,
    diagnostics: &mut Diagnostics,
) {
    for (workload, error) in simulation::unplaceable(config) {
        if let Some(place) = loaded.places.get(workload.as_ref()) {
            diagnostics.push(diagnostic::unplaceable_workload(*place, &workload, &error));
        }
    }
}

/// Warns of steps about offerings of which no NodePool can launch any, neither of the start nor of later.
pub fn warn_of_idle_steps(loaded: &LoadedScenario, config: &Config, diagnostics: &mut Diagnostics) {
    let later = config.timeline.iter().flat_map(|(_, action)| match action {
        Action::Apply(objects) | Action::Patch { objects, .. } => objects.pools.as_slice(),
        _ => &[],
    });
    let pools: Vec<&PoolConfig> = config.pools.iter().chain(later).collect();
    // A scenario without NodePools has a warning of its own.
    if pools.is_empty() {
        return;
    }
    for (place, offerings) in &loaded.offering_steps {
        if !pools.iter().any(|pool| can_launch(pool, offerings, &config.symbols)) {
            diagnostics.push(diagnostic::step_without_effect(*place));
        }
    }
}

/// The NodePool's requirements admit some offering that is meant.
fn can_launch(pool: &PoolConfig, offerings: &OfferingPattern, symbols: &Symbols) -> bool {
    let wanted = &pool.spec.template.requirements;
    let capacity = |kind: CapacityType| symbols.find(kind.name()).map(|found| symbols.value(found));
    pool.types.iter().filter(|it| it.requirements.intersects(wanted)).any(|it| {
        it.offerings.iter().any(|offering| {
            offerings.covers(symbols, it.name, offering.zone, offering.capacity_type)
                && wanted.admits(label::ZONE, offering.zone)
                && capacity(offering.capacity_type)
                    .is_none_or(|value| wanted.admits(label::CAPACITY_TYPE, value))
        })
    })
}

/// Warns of NodeOverlays of the start that conflict, so that Karpenter skips them.
pub fn warn_of_conflicting_overlays(
    loaded: &LoadedScenario,
    config: &Config,
    diagnostics: &mut Diagnostics,
) {
    let mut overlays = config.node_overlays.clone();
    node_overlay::sort_by_weight(&mut overlays);
    let pools: Vec<_> =
        config.pools.iter().map(|pool| (&*pool.spec, pool.types.as_slice())).collect();
    for name in overlay::evaluate(&overlays, &pools).conflicting {
        if let Some(place) = loaded.places.get(&format!("NodeOverlay/{name}")) {
            diagnostics.push(diagnostic::overlay_conflicts(*place, &name));
        }
    }
}

/// What identifies a run of `loaded`, resolved to `config`, in every output.
pub fn header(loaded: &LoadedScenario, config: &Config, catalog: &ec2::Catalog) -> Header {
    let settings = &loaded.settings;
    Header {
        scenario: settings.name.clone(),
        about: settings.about.clone(),
        policy: policy_in_words(&loaded.objects.node_pools, &loaded.symbols),
        start_epoch_s: settings.start_epoch_s,
        horizon: settings.horizon,
        seed: settings.seed,
        region: settings.region.clone(),
        price_basis: price_basis(&settings.region, config, catalog),
        input_digest: format!("{:016x}", loaded.input_digest),
        catalogue_digest: format!("{:016x}", catalog.digest),
        program: concat!("karpsim ", env!("CARGO_PKG_VERSION")).to_owned(),
        semantics: "karpenter 1.14.1".to_owned(),
    }
}

/// Where the prices of the instance types that the NodePools of the start admit come from.
fn price_basis(region: &str, config: &Config, catalog: &ec2::Catalog) -> String {
    let mut admitted: BTreeSet<&str> = BTreeSet::new();
    for pool in &config.pools {
        let wanted = &pool.spec.template.requirements;
        let types = pool.types.iter().filter(|it| it.requirements.intersects(wanted));
        admitted.extend(types.map(|it| config.symbols.text(it.name.symbol)));
    }
    let counts = catalog.price_basis(region, admitted.into_iter());
    let basis: Vec<String> =
        counts.iter().map(|(basis, count)| format!("{count} {}", basis.name())).collect();
    format!("{} ({})", catalog.price_list(region), basis.join(", "))
}

/// The instance types that a node class offers, and how long its nodes take to boot.
#[derive(Clone)]
struct Offered {
    types: Arc<Vec<InstanceType>>,
    tags: Arc<[(Arc<str>, Arc<str>)]>,
    boot: Arc<Boot>,
    class_fields: Arc<str>,
}

/// What exists at a step of the timeline.
struct Resolver<'a> {
    settings: &'a Settings,
    catalog: &'a ec2::Catalog,
    symbols: Symbols,
    classes: BTreeMap<String, NodeClass>,
    pools: BTreeMap<String, NodePool>,
    offered: BTreeMap<String, Offered>,
}

impl Resolver<'_> {
    /// Takes in objects and returns the NodePools that they change: those among them, and those whose class is.
    fn put(&mut self, objects: &Objects) -> Vec<PoolConfig> {
        for class in &objects.node_classes {
            self.offered.remove(&class.name);
            self.classes.insert(class.name.clone(), class.clone());
        }
        let mut changed = Vec::new();
        for pool in &objects.node_pools {
            let name = self.symbols.text(pool.name.symbol).to_owned();
            self.pools.insert(name.clone(), pool.clone());
            changed.push(name);
        }
        for (name, pool) in &self.pools {
            let class = self.symbols.text(pool.template.node_class.symbol);
            if objects.node_classes.iter().any(|c| c.name == class) && !changed.contains(name) {
                changed.push(name.clone());
            }
        }
        changed.iter().filter_map(|name| self.pool(name)).collect()
    }

    /// A NodePool with what its class offers. A class that is missing was reported at load.
    fn pool(&mut self, name: &str) -> Option<PoolConfig> {
        let spec = self.pools.get(name)?.clone();
        let class = self.symbols.text(spec.template.node_class.symbol).to_owned();
        let Offered { types, tags, boot, class_fields } = self.offered(&class)?;
        Some(PoolConfig { spec: Arc::new(spec), types, tags, boot, class_fields })
    }

    fn offered(&mut self, class: &str) -> Option<Offered> {
        if let Some(known) = self.offered.get(class) {
            return Some(known.clone());
        }
        let node_class = self.classes.get(class)?;
        let Settings { region, zones, .. } = self.settings;
        let types = ec2::provider::instance_types(
            self.catalog,
            region,
            zones,
            node_class,
            &ec2::provider::Options::default(),
            &mut self.symbols,
        );
        let tags = node_class.tags.iter();
        let offered = Offered {
            class_fields: node_class.drift_fields.as_str().into(),
            types: Arc::new(types),
            tags: tags.map(|(k, v)| (Arc::from(k.as_str()), Arc::from(v.as_str()))).collect(),
            boot: Arc::new(latency::boot(
                node_class.ami_family,
                self.settings.cloud.registered.as_ref(),
            )),
        };
        self.offered.insert(class.to_owned(), offered.clone());
        Some(offered)
    }

    fn action(&mut self, action: &TimelineAction) -> Action {
        match action {
            TimelineAction::Direct(action) => action.clone(),
            TimelineAction::Apply(objects) => Action::Apply(self.objects(objects)),
            TimelineAction::Patch { object, objects, keeps_replicas } => Action::Patch {
                object: object.clone(),
                objects: self.objects(objects),
                keeps_replicas: *keeps_replicas,
            },
        }
    }

    fn objects(&mut self, objects: &Objects) -> simulation::Objects {
        simulation::Objects {
            pools: self.put(objects),
            deployments: objects.deployments.clone(),
            jobs: objects.jobs.clone(),
            daemon_sets: objects.daemon_sets.clone(),
            node_overlays: objects.node_overlays.clone(),
            capacity_buffers: objects.capacity_buffers.clone(),
            pod_templates: objects.pod_templates.clone(),
            disruption_budgets: objects.disruption_budgets.clone(),
            pods: objects.pods.clone(),
        }
    }
}

fn world_settings(settings: &Settings) -> WorldSettings {
    let cloud = &settings.cloud;
    let gate = |name| settings.gate(name);
    WorldSettings {
        start_epoch_seconds: settings.start_epoch_s,
        seed: settings.seed,
        tie_breaks: match settings.tie_breaks {
            TieBreaks::Canonical => WorldTieBreaks::Canonical,
            TieBreaks::Seeded => WorldTieBreaks::Seeded,
        },
        latency: Latency {
            create: distribution(&cloud.create),
            running: distribution(&cloud.running),
            ready: distribution(&cloud.ready),
            initialized: distribution(&cloud.init),
            terminate: distribution(&cloud.terminate),
            detach: distribution(&cloud.detach),
            message: distribution(&cloud.message),
            pod_start: distribution(&settings.pod_start),
            image_pull: distribution(&settings.image_pull),
            pod_stop: distribution(&settings.pod_stop),
        },
        scheduler_ties: match settings.node_ties {
            NodeTies::Name => SchedulerTies::Name,
            NodeTies::Seeded => SchedulerTies::Seeded,
        },
        victims: match settings.victims {
            Victims::ReplicaSet => VictimRule::ReplicaSet,
            Victims::Newest => VictimRule::Newest,
            Victims::Colocated => VictimRule::Colocated,
        },
        job_retries: JobRetries::BackOff,
        pod_uids: PodUids::Hash,
        plain: false,
        controller_latency: settings.controller_latency,
        unavailable_for: UNAVAILABLE_FOR,
        karpenter: KarpenterOptions {
            batch_idle: settings.karpenter.batch_idle,
            batch_max: settings.karpenter.batch_max,
            ignore_preferences: settings.karpenter.preference_policy == PreferencePolicy::Ignore,
            interruption_queue: settings.karpenter.interruption_queue,
            best_effort_min_values: settings.karpenter.min_values_policy
                == MinValuesPolicy::BestEffort,
            reserved_capacity: gate("ReservedCapacity"),
            gates: Gates {
                spot_to_spot: gate("SpotToSpotConsolidation"),
                node_repair: gate("NodeRepair"),
                static_capacity: gate("StaticCapacity"),
                node_overlay: gate("NodeOverlay"),
                capacity_buffer: gate("CapacityBuffer"),
            },
            evaluation_time: settings.karpenter.evaluation_time,
        },
    }
}

/// NodePools at most that are told one by one.
const SAID_POOLS: usize = 3;

/// `NodePool default: WhenEmptyOrUnderutilized, consolidateAfter 1m, expireAfter 72h, budget 10 %`.
fn policy_in_words(pools: &[NodePool], symbols: &Symbols) -> String {
    let mut pools: Vec<(&str, &NodePool)> =
        pools.iter().map(|pool| (symbols.text(pool.name.symbol), pool)).collect();
    pools.sort_by_key(|(name, _)| *name);
    let more = pools.len().saturating_sub(SAID_POOLS);
    let mut words: Vec<String> =
        pools.iter().take(SAID_POOLS).map(|(name, pool)| pool_in_words(name, pool)).collect();
    if more > 0 {
        words.push(format!("and {more} more NodePools"));
    }
    words.join("; ")
}

fn pool_in_words(name: &str, pool: &NodePool) -> String {
    let never = |span: Option<SimDuration>| span.map_or("Never".to_owned(), |s| s.to_string());
    let disruption = &pool.disruption;
    let mut words = format!("NodePool {name}: {}", disruption.policy.name());
    let after = never(disruption.consolidate_after);
    if disruption.policy != ConsolidationPolicy::WhenEmpty || disruption.consolidate_after.is_some()
    {
        let _ = write!(words, ", consolidateAfter {after}");
    }
    let _ = write!(words, ", expireAfter {}", never(pool.template.expire_after));
    let budgets: Vec<String> = disruption
        .budgets
        .iter()
        .map(|budget| match budget.nodes {
            BudgetNodes::Count(count) => count.to_string(),
            BudgetNodes::Percent(percent) => format!("{percent}%"),
        })
        .collect();
    match budgets.as_slice() {
        [] => words.push_str(", no budget"),
        [one] => {
            let _ = write!(words, ", budget {one}");
        }
        _ => {
            let _ = write!(words, ", budgets {}", budgets.join(" and "));
        }
    }
    words
}
