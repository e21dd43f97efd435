//! Templates: what a Solve knows of each NodePool before it looks at pods.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/{scheduler,nodeclaimtemplate}.go`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::type_filter::{FitIndex, is_offered};
use super::{ClaimPlan, min_values, plain};
use crate::ec2::InstanceType;
use crate::kube::pod::NodeAffinity;
use crate::kube::requirement::{AllowUndefined, Requirement, Requirements};
use crate::kube::taint::{self, Effect, Taint, Toleration, TolerationOperator};
use crate::kube::{HostPort, NodePool, PodClass, label};
use crate::units::{BitSet, LabelValue, Lane, ResourceVec, Symbol};
use crate::world::{ClusterView, PoolIndex};

/// The host of every claim that exists only while solving: no pod can ask for it by name.
pub(super) const PLACEHOLDER: &str = "hostname-placeholder";

/// All usable templates, in the order in which a Solve tries them.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    pub(super) list: Vec<Template>,
    /// Some template has a PreferNoSchedule taint, so that relaxation may tolerate such taints.
    pub(super) tolerate_prefer_no_schedule: bool,
    /// All NodePools: new nodes' topology domains come from these, whether a template is left or not.
    pub(super) sources: Vec<Source>,
    /// The value that the hosts of new claims share while solving.
    pub(super) placeholder: Option<LabelValue>,
}

/// A NodePool with its instance types.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) spec: Arc<NodePool>,
    pub(super) types: Arc<Vec<InstanceType>>,
    /// Keys that some type states.
    stated: BTreeSet<Symbol>,
}

impl Source {
    fn new(spec: Arc<NodePool>, types: Arc<Vec<InstanceType>>) -> Source {
        let keys = types.iter().flat_map(|it| it.requirements.iter().map(|(key, _)| key));
        let stated = keys.collect();
        Source { spec, types, stated }
    }

    /// True iff some type says something of `key`.
    pub(super) fn states(&self, key: Symbol) -> bool {
        self.stated.contains(&key)
    }
}

/// The scheduling view of one NodePool.
#[derive(Clone, Debug)]
pub struct Template {
    pub(super) pool: PoolIndex,
    pub(super) spec: Arc<NodePool>,
    pub(super) requirements: Requirements,
    pub(super) types: Arc<Vec<InstanceType>>,
    /// The types that are compatible, on offer and not negative.
    pub(super) options: BitSet,
    pub(super) groups: Vec<DaemonGroup>,
    pub(super) fit: FitIndex,
    /// Types by capacity, for limits.
    capacity: FitIndex,
    /// The price of each type's cheapest offering that goes with the requirements, in stock or not; `f64::MAX` without
    /// any.
    cheapest: Vec<f64>,
    /// The value `reserved`, when some instance type has a reserved offering.
    pub(super) reserved: Option<LabelValue>,
}

/// Instance types on which the same DaemonSets run.
#[derive(Clone, Debug)]
pub struct DaemonGroup {
    pub(super) types: BitSet,
    /// Requests of those DaemonSets' pods; nothing named without any.
    pub(super) overhead: ResourceVec,
    /// Their host ports.
    pub(super) ports: Vec<HostPort>,
}

impl Templates {
    /// The templates of all NodePools: weight descending, then name descending, as upstream.
    pub fn build(view: &ClusterView<'_>) -> Templates {
        // Static NodePools launch for their replicas, never for pods.
        let is_dynamic = |index: &PoolIndex| {
            let pool = &view.cluster.pools[*index];
            pool.spec.replicas.is_none() && pool.ready && !pool.deleted
        };
        let mut pools: Vec<PoolIndex> = (0..view.cluster.pools.len()).filter(is_dynamic).collect();
        pools.sort_by(|a, b| {
            let key =
                |i: &PoolIndex| (view.cluster.pools[*i].spec.weight, &view.cluster.pools[*i].name);
            key(b).cmp(&key(a))
        });
        let mut templates = Templates {
            placeholder: view.symbols.find(PLACEHOLDER).map(|symbol| view.symbols.value(symbol)),
            ..Templates::default()
        };
        for pool in pools {
            let cluster_pool = &view.cluster.pools[pool];
            let (spec, types) = (cluster_pool.spec.clone(), cluster_pool.types.clone());
            templates.sources.push(Source::new(spec, types));
            let template = Template::build(view, pool);
            let taints = &template.spec.template.taints;
            templates.tolerate_prefer_no_schedule |=
                taints.iter().any(|taint| taint.effect == Effect::PreferNoSchedule);
            if !template.options.is_empty() {
                templates.list.push(template);
            }
        }
        templates
    }

    /// Instance types, by position, that a NodePool may launch.
    pub fn options(&self, pool: PoolIndex) -> Option<&BitSet> {
        self.list.iter().find(|template| template.pool == pool).map(|template| &template.options)
    }
}

impl Template {
    fn build(view: &ClusterView<'_>, index: PoolIndex) -> Template {
        let pool = &view.cluster.pools[index];
        let mut requirements = template_requirements(view, &pool.spec);
        let types = pool.types.clone();
        let mut options = BitSet::empty(types.len());
        for (i, it) in types.iter().enumerate() {
            if !it.allocatable.has_negative() && is_offered(it, &requirements) {
                options.insert(i);
            }
        }
        let strict = !view.settings.karpenter.best_effort_min_values;
        if strict && min_values::unmet(&types, options.iter(), &requirements).is_some() {
            options = BitSet::empty(types.len());
        }
        let cheapest = types.iter().map(|it| cheapest_offering(it, &requirements)).collect();
        let groups = daemon_groups(view, &pool.spec, &requirements, &types, &options);
        if let Some(symbol) = view.symbols.find(PLACEHOLDER) {
            requirements.add(label::HOSTNAME, Requirement::is(view.symbols.value(symbol)));
        }
        let mut offerings = types.iter().flat_map(|it| &it.offerings);
        let reserved = offerings.any(|offering| offering.reservation.is_some());
        let reserved = view.symbols.find("reserved").filter(|_| reserved);
        Template {
            pool: index,
            spec: pool.spec.clone(),
            requirements,
            options,
            groups,
            fit: FitIndex::new(&types, |it| &it.allocatable),
            capacity: FitIndex::new(&types, |it| &it.capacity),
            cheapest,
            reserved: reserved.map(|symbol| view.symbols.value(symbol)),
            types,
        }
    }
}

fn cheapest_offering(instance_type: &InstanceType, requirements: &Requirements) -> f64 {
    let offerings = instance_type.offerings.iter().filter(|o| o.compatible_with(requirements));
    offerings.map(|offering| offering.price).fold(f64::MAX, f64::min)
}

/// A NodeClaim of a NodePool's template, for no pod in particular: all types that the template admits.
pub fn bare_claim(view: &ClusterView<'_>, pool: PoolIndex) -> ClaimPlan {
    let template = Template::build(view, pool);
    let mut requirements = template.requirements;
    requirements.remove(label::REGISTERED);
    requirements.remove(label::INITIALIZED);
    requirements.remove(label::HOSTNAME);
    ClaimPlan {
        pool,
        requirements,
        types: template.options.iter().map(|i| i as u32).collect(),
        requests: ResourceVec::default(),
        pods: Vec::new(),
        min_values_relaxed: false,
    }
}

/// NodePool requirements, template labels, and what every claim of the pool will carry.
fn template_requirements(view: &ClusterView<'_>, spec: &NodePool) -> Requirements {
    let mut requirements = spec.template.requirements.clone();
    requirements.add_all(&Requirements::from_labels(&spec.template.labels));
    requirements.add(label::NODEPOOL, Requirement::is(spec.name));
    requirements.add(label::EC2_NODE_CLASS, Requirement::is(spec.template.node_class));
    if let Some(value) = view.symbols.find("true").map(|symbol| view.symbols.value(symbol)) {
        requirements.add(label::REGISTERED, Requirement::is(value));
        requirements.add(label::INITIALIZED, Requirement::is(value));
    }
    requirements
}

/// Groups of instance types by the set of DaemonSets that run on them, in the order of their first type.
fn daemon_groups(
    view: &ClusterView<'_>,
    spec: &NodePool,
    requirements: &Requirements,
    types: &[InstanceType],
    options: &BitSet,
) -> Vec<DaemonGroup> {
    let mut groups: Vec<(Vec<usize>, DaemonGroup)> = Vec::new();
    for i in options.iter() {
        let on_type = |daemon: &&(usize, &PodClass)| {
            runs_on_template(daemon.1, &spec.template.taints, requirements, Some(&types[i]))
        };
        let daemons: Vec<(usize, &PodClass)> = view
            .cluster
            .daemon_sets
            .iter()
            .enumerate()
            .map(|(d, set)| (d, set.template.as_ref()))
            .filter(|daemon| on_type(&daemon))
            .collect();
        let key: Vec<usize> = daemons.iter().map(|(d, _)| *d).collect();
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.types.insert(i),
            None => {
                let mut set = BitSet::empty(types.len());
                set.insert(i);
                let overhead = sum_requests(daemons.iter().map(|(_, class)| *class));
                let ports = daemons.iter().flat_map(|(_, class)| &class.host_ports);
                let ports = ports.copied().collect();
                groups.push((key, DaemonGroup { types: set, overhead, ports }));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Sum of the requests, nothing named for no pods.
pub(super) fn sum_requests<'a>(classes: impl Iterator<Item = &'a PodClass>) -> ResourceVec {
    let mut sum = ResourceVec::default();
    classes.for_each(|class| sum.add(&class.requests));
    sum
}

/// Whether a DaemonSet's pod runs on nodes of a template: taints tolerated (PreferNoSchedule never hinders), and some
/// required term compatible with template and instance type. Startup taints and preferences do not matter.
fn runs_on_template(
    class: &PodClass,
    taints: &[Taint],
    requirements: &Requirements,
    instance_type: Option<&InstanceType>,
) -> bool {
    let hindered = |t: &Taint| t.effect != Effect::PreferNoSchedule && !class.tolerates(t);
    !taints.iter().any(hindered)
        && any_strict_term(&class.node_affinity, |strict| {
            requirements.compatible(strict, AllowUndefined::WellKnown)
                && instance_type.is_none_or(|it| it.requirements.intersects(strict))
        })
}

/// Whether a DaemonSet's pod runs on an existing node: taints tolerated and some required term compatible with its
/// labels.
pub(super) fn runs_on_node(class: &PodClass, taints: &[Taint], labels: &Requirements) -> bool {
    taint::first_untolerated(taints, &class.tolerations).is_none()
        && any_strict_term(&class.node_affinity, |strict| {
            labels.compatible(strict, AllowUndefined::Nothing)
        })
}

fn any_strict_term(affinity: &NodeAffinity, accepts: impl Fn(&Requirements) -> bool) -> bool {
    if affinity.required.is_empty() {
        return accepts(&affinity.selector);
    }
    affinity.required.iter().any(|term| {
        let mut strict = affinity.selector.clone();
        strict.add_all(term);
        accepts(&strict)
    })
}

/// The toleration that relaxation adds last.
pub(super) fn prefer_no_schedule_toleration(empty: LabelValue) -> Toleration {
    Toleration {
        key: None,
        operator: TolerationOperator::Exists,
        value: empty,
        effect: Some(Effect::PreferNoSchedule),
    }
}

impl Template {
    /// False when no option with room for `requests` has an offering below `limit` USD per hour, whatever is in stock.
    pub(super) fn holds_below(&self, requests: &ResourceVec, limit: f64) -> bool {
        self.reserved.is_some()
            || self.groups.iter().any(|group| {
                let mut roomy = self.options.clone();
                roomy.intersect_with(&group.types);
                self.fit.keep(&mut roomy, &requests.plus(&group.overhead), &self.types);
                self.costs_below(&roomy, limit)
            })
    }

    /// The largest amount of a lane that pods can have on an option with an offering below `limit` USD per hour, at
    /// least; `i64::MAX` when reservations make prices no guide.
    pub(super) fn largest_below(&self, lane: Lane, limit: f64) -> i64 {
        if self.reserved.is_some() {
            return i64::MAX;
        }
        let mut largest = 0;
        for group in &self.groups {
            let options = self.options.iter().filter(|option| self.cheapest[*option] < limit);
            let options = options.filter(|option| group.types.contains(*option));
            let overhead = group.overhead.lane(lane);
            let amounts = options.map(|i| self.types[i].allocatable.lane(lane) - overhead);
            largest = amounts.fold(largest, i64::max);
        }
        largest
    }

    /// False when none of `options` has an offering below `limit` USD per hour, whatever is in stock.
    pub(super) fn costs_below(&self, options: &BitSet, limit: f64) -> bool {
        self.reserved.is_some() || options.iter().any(|option| self.cheapest[option] < limit)
    }

    /// The options whose capacity is within what is left of the limits, in every resource that these name.
    pub(super) fn options_within(&self, remaining: &ResourceVec) -> BitSet {
        let mut options = self.options.clone();
        for (name, left) in remaining.iter() {
            match lane_of(name) {
                Some(lane) => self.capacity.keep_at_most(&mut options, lane, left),
                None => {
                    let above = self.options.iter();
                    above
                        .filter(|i| self.types[*i].capacity.get(name) > left)
                        .for_each(|i| options.remove(i));
                }
            }
        }
        options
    }

    /// What is left of the limits after a claim with these options: the largest capacity counts, resource by resource.
    pub(super) fn charge(&self, remaining: &mut ResourceVec, options: &BitSet) {
        let mut largest = ResourceVec::default();
        for (name, _) in remaining.iter() {
            let amount = match lane_of(name) {
                Some(lane) => self.capacity.largest(options, lane),
                None => {
                    let amounts = options.iter().map(|i| self.types[i].capacity.get(name));
                    amounts.max().unwrap_or(0)
                }
            };
            largest.set(name, amount);
        }
        *remaining = remaining.minus(&largest);
    }
}

/// The lane of a resource that an index knows.
fn lane_of(name: &str) -> Option<Lane> {
    Lane::ALL.into_iter().find(|lane| lane.name() == name && !plain::is_on())
}

/// True when the limit on the number of nodes is used up exactly (upstream tests for zero, nothing else).
pub(super) fn nodes_exhausted(remaining: &ResourceVec) -> bool {
    remaining.find("nodes") == Some(0)
}

/// One pod in a list of requests.
pub(super) fn with_pod_count(mut requests: ResourceVec, pods: usize) -> ResourceVec {
    requests.set_lane(Lane::Pods, pods as i64);
    requests
}
