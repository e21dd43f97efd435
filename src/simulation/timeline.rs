//! What people and pipelines do to the cluster: timeline steps and the objects they put.

use super::{PoolConfig, Simulation, deployment_state, pool_state};
use crate::kube::workload::{BarePod, DaemonSet, Deployment};
use crate::world::cluster::Owner;
use crate::world::{Event, Fact, Wake};

/// A step of the timeline.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sets a Deployment's replicas.
    Scale {
        /// Namespace of the Deployment.
        namespace: String,
        /// Its name.
        name: String,
        /// The new replicas.
        replicas: u32,
    },
    /// Creates objects, or replaces those of the same kind and name.
    Apply {
        /// NodePools.
        pools: Vec<PoolConfig>,
        /// Deployments.
        deployments: Vec<Deployment>,
        /// DaemonSets.
        daemon_sets: Vec<DaemonSet>,
        /// Pods without an owner.
        pods: Vec<BarePod>,
    },
}

impl Simulation {
    pub(super) fn schedule_timeline(&mut self) {
        let config = self.config.clone();
        for (step, (at, _)) in config.timeline.iter().enumerate() {
            self.world.schedule(*at, Event::TimelineStep(step as u32));
        }
    }

    pub(super) fn on_timeline_step(&mut self, step: u32) {
        let config = self.config.clone();
        match &config.timeline[step as usize].1 {
            Action::Scale { namespace, name, replicas } => self.scale(namespace, name, *replicas),
            Action::Apply { pools, deployments, daemon_sets, pods } => {
                pools.iter().for_each(|pool| self.put_pool(pool));
                deployments.iter().for_each(|deployment| self.put_deployment(deployment));
                daemon_sets.iter().for_each(|set| self.put_daemon_set(set));
                pods.iter().for_each(|pod| self.put_pod(pod));
            }
        }
    }

    fn scale(&mut self, namespace: &str, name: &str, replicas: u32) {
        let cluster = &mut self.world.cluster;
        let Some(index) = cluster.find_deployment(namespace, name) else {
            return;
        };
        cluster.deployments[index].replicas = replicas;
        cluster.dirty_deployments.insert(index);
        let workload = cluster.deployments[index].spec.template.workload.clone();
        self.world.record(Fact::Scaled { workload, replicas });
        self.world.wake(Wake::Workloads);
    }

    fn record_applied(&mut self, object: String) {
        if self.event_count > 0 {
            self.world.record(Fact::Applied { object: object.into() });
        }
    }

    /// Creates or replaces a NodePool. Its nodes look at their conditions again.
    pub(super) fn put_pool(&mut self, config: &PoolConfig) {
        let name = self.world.symbols.text(config.spec.name.symbol).to_owned();
        self.record_applied(format!("NodePool/{name}"));
        let cluster = &mut self.world.cluster;
        match cluster.pools.binary_search_by(|pool| pool.name.as_ref().cmp(&name)) {
            Ok(index) => {
                let count = cluster.pools[index].created_count;
                cluster.pools[index] = pool_state(config, &self.world.symbols, count);
            }
            Err(index) => {
                // Pools are numbered by name: the numbers of those after the new one move up.
                cluster.pools.insert(index, pool_state(config, &self.world.symbols, 0));
                let ids: Vec<_> = cluster.claims_by_name.values().copied().collect();
                for id in ids {
                    let claim = &mut cluster.claims[id];
                    claim.pool += usize::from(claim.pool >= index);
                }
            }
        }
        self.world.cluster.generation += 1;
        self.world.mark_unconsolidated();
        let ids: Vec<_> = self.world.cluster.claims_by_name.values().copied().collect();
        ids.into_iter().for_each(|id| self.world.wake(Wake::Conditions(id)));
    }

    /// Creates a Deployment, or sets an existing one's replicas and the template of pods to come.
    pub(super) fn put_deployment(&mut self, spec: &Deployment) {
        self.record_applied(format!("Deployment/{}/{}", spec.namespace, spec.name));
        let cluster = &mut self.world.cluster;
        let index = cluster.find_deployment(&spec.namespace, &spec.name).unwrap_or_else(|| {
            cluster.deployments.push(deployment_state(spec));
            cluster.deployments.len() - 1
        });
        cluster.deployments[index].spec = spec.clone();
        cluster.deployments[index].replicas = spec.replicas;
        cluster.dirty_deployments.insert(index);
        self.world.wake(Wake::Workloads);
    }

    /// Creates or replaces a DaemonSet; existing nodes get its pods too.
    pub(super) fn put_daemon_set(&mut self, spec: &DaemonSet) {
        self.record_applied(format!("DaemonSet/{}/{}", spec.namespace, spec.name));
        let cluster = &mut self.world.cluster;
        let same = |set: &DaemonSet| set.namespace == spec.namespace && set.name == spec.name;
        match cluster.daemon_sets.iter().position(same) {
            Some(index) => cluster.daemon_sets[index] = spec.clone(),
            None => cluster.daemon_sets.push(spec.clone()),
        }
        cluster.generation += 1;
        cluster.nodes_without_daemons = cluster.nodes_by_name.values().copied().collect();
        self.world.wake(Wake::Workloads);
    }

    /// Creates a pod without an owner.
    pub(super) fn put_pod(&mut self, pod: &BarePod) {
        self.record_applied(format!("Pod/{}/{}", pod.namespace, pod.name));
        let counter = self.world.cluster.pod_count;
        let class = pod.template.clone();
        self.world.create_pod(pod.name.clone(), class, Owner::Bare, (1 << 41, counter), None);
    }
}
