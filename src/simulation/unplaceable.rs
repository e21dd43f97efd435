//! Workloads whose pods no NodePool can ever take, found before a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Action, Config, Simulation};
use crate::kube::PodClass;
use crate::scheduling::{self, Purpose, Templates};
use crate::world::PodId;
use crate::world::cluster::Owner;

/// Workloads of `config`, ascending, of which one pod alone fits no new node at the start, each with Karpenter's words.
/// Replicas of 0 count too: they may be scaled. Nothing is known beforehand when a timeline step applies a NodePool.
pub fn unplaceable(config: &Arc<Config>) -> Vec<(Arc<str>, String)> {
    let mut classes: BTreeMap<Arc<str>, Arc<PodClass>> = BTreeMap::new();
    let mut add = |class: &Arc<PodClass>| {
        classes.entry(class.workload.clone()).or_insert_with(|| class.clone());
    };
    config.deployments.iter().for_each(|deployment| add(&deployment.template));
    config.jobs.iter().for_each(|job| add(&job.template));
    config.pods.iter().for_each(|pod| add(&pod.template));
    let changes_pools = |(_, action): &(_, Action)| match action {
        Action::Apply(objects) | Action::Patch { objects, .. } => !objects.pools.is_empty(),
        _ => false,
    };
    if config.timeline.iter().any(changes_pools) {
        return Vec::new();
    }
    for (_, action) in &config.timeline {
        if let Action::Apply(objects) | Action::Patch { objects, .. } = action {
            objects.deployments.iter().for_each(|deployment| add(&deployment.template));
            objects.jobs.iter().for_each(|job| add(&job.template));
            objects.pods.iter().for_each(|pod| add(&pod.template));
        }
    }
    let empty = Config {
        deployments: Vec::new(),
        jobs: Vec::new(),
        pods: Vec::new(),
        timeline: Vec::new(),
        ..config.as_ref().clone()
    };
    let mut simulation = Simulation::new(Arc::new(empty));
    let probes = classes.into_iter().enumerate().map(|(number, (workload, class))| {
        let (name, key) = ("probe".into(), (1 << 41, number as u64));
        (workload, simulation.world.create_pod(name, class, Owner::Bare, key, None))
    });
    let probes: Vec<(Arc<str>, PodId)> = probes.collect();
    let view = simulation.world.view();
    let templates = Templates::build(&view);
    let why = |pod| {
        let solution = scheduling::solve(&view, &templates, &[pod], Purpose::Provision);
        solution.unplaced.into_iter().next().map(|(_, error)| error)
    };
    probes.into_iter().filter_map(|(workload, pod)| Some((workload, why(pod)?))).collect()
}
