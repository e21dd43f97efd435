//! Mutators of NodeClaims: creation, launch, registration, conditions, deletion, removal.

use std::sync::Arc;

use smallvec::SmallVec;

use super::cluster::{Claim, ClaimId, DeletionCause, Drift, Instance, InstanceTypeRef, PoolIndex};
use super::event::Event;
use super::journal::{Fact, Launch};
use super::nodes::UNREGISTERED_TAINT;
use super::settings::TieBreaks;
use super::{Wake, World};
use crate::ec2::{CapacityType, InstanceType};
use crate::engine::{Distribution, Purpose};
use crate::kube::taint::Effect;
use crate::kube::{Labels, NodePool, Requirements, label};
use crate::units::{LabelValue, ResourceVec, SimDuration};

/// A NodeClaim to be created.
#[derive(Clone, Debug)]
pub struct NewClaim {
    /// The NodePool.
    pub pool: PoolIndex,
    /// `provisioned`, or the reason of a command in lower case.
    pub reason: &'static str,
    /// Requirements, without the instance types.
    pub requirements: Requirements,
    /// Instance types, cheapest first, as positions in the pool's list.
    pub options: Vec<u32>,
    /// Requests of its pods and daemons.
    pub requests: ResourceVec,
}

/// An offering that EC2 launched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Position of the instance type in the pool's list.
    pub instance_type: u32,
    /// Zone.
    pub zone: LabelValue,
    /// Capacity type.
    pub capacity_type: CapacityType,
    /// USD per hour.
    pub price: f64,
}

impl World {
    /// Creates a NodeClaim object.
    pub fn create_claim(&mut self, new: NewClaim) -> ClaimId {
        let now = self.now();
        let pool = &mut self.cluster.pools[new.pool];
        pool.created_count += 1;
        let name: Arc<str> = format!("{}-{:05}", pool.name, pool.created_count).into();
        let (template, types) = (pool.spec.clone(), pool.types.clone());
        let class_fields = pool.class_fields.clone();
        let ordinal = self.cluster.claim_count;
        self.cluster.claim_count += 1;
        let labels = self.claim_labels(&template, &new.requirements, ordinal);
        let names = match template.replicas {
            None => new.options.iter().map(|i| self.text(types[*i as usize].name)).collect(),
            // The NodeClaim of a static NodePool names the types that the NodePool names.
            Some(_) => self.named_types(&new.requirements),
        };
        let requirements = self.describe_requirements(&new.requirements);
        let requests = new.requests.clone();
        let created_at = now.floor_to_second();
        let id = self.cluster.claims.insert(Claim {
            class_fields,
            requirements: new.requirements,
            options: new.options,
            requests: new.requests,
            labels,
            ..Claim::new(ordinal, name.clone(), new.pool, template, created_at)
        });
        self.cluster.claims_by_name.insert(name, id);
        self.cluster.unlaunched_count += 1;
        let claim = self.cluster.claim_ref(id);
        let (reason, instance_types) = (new.reason, names);
        self.record(Fact::ClaimCreated { claim, reason, instance_types, requirements, requests });
        self.wake(Wake::Lifecycle(id));
        self.notify_claim(id);
        id
    }

    /// The labels of a claim: the template's, and of keys that the cloud does not define one value that the
    /// requirements admit (karpenter v1.14.1 `Requirements.Labels`, `Requirement.Any`). Which of several is a matter of
    /// Go's map order.
    fn claim_labels(
        &mut self,
        template: &NodePool,
        requirements: &Requirements,
        claim: u64,
    ) -> Labels {
        let fixed = [label::HOSTNAME, label::REGISTERED, label::INITIALIZED];
        let custom = requirements.iter();
        let custom = custom.filter(|(key, _)| !label::is_well_known(*key) && !fixed.contains(key));
        let mut labels = template.template.labels.clone();
        for (index, (key, requirement)) in (1..).zip(custom) {
            if requirement.is_complement() {
                // Any number that the requirement admits.
                let first = requirement.bounds().0.unwrap_or(0);
                let mut numbers =
                    (first..).map(|number| self.symbols.intern_value(&number.to_string()));
                let number = numbers.find(|number| !requirement.values().contains(number));
                number.into_iter().for_each(|number| labels.set(key, number));
                continue;
            }
            let mut values = requirement.values().to_vec();
            values.sort_unstable_by_key(|value| self.symbols.text(value.symbol));
            let chosen = match self.settings.tie_breaks {
                TieBreaks::Canonical => 0,
                TieBreaks::Seeded if values.len() < 2 => 0,
                TieBreaks::Seeded => {
                    let draw = self.streams.mix(Purpose::FleetChoice, claim, index);
                    (draw % values.len() as u64) as usize
                }
            };
            values.get(chosen).into_iter().for_each(|value| labels.set(key, *value));
        }
        labels.set(label::NODEPOOL, template.name);
        labels.set(label::EC2_NODE_CLASS, template.template.node_class);
        labels
    }

    fn named_types(&self, requirements: &Requirements) -> Arc<[Arc<str>]> {
        let named = requirements.get(label::INSTANCE_TYPE).filter(|r| !r.is_complement());
        named.into_iter().flat_map(|r| r.values()).map(|value| self.text(*value)).collect()
    }

    pub(super) fn text(&self, value: LabelValue) -> Arc<str> {
        self.symbols.text(value.symbol).into()
    }

    /// `key Operator values`, ascending by key, without the instance types, as the recorded timelines
    /// write a claim's requirements.
    fn describe_requirements(&self, requirements: &Requirements) -> Vec<String> {
        let mut texts: Vec<String> = requirements
            .iter()
            .filter(|(key, _)| *key != label::INSTANCE_TYPE)
            .map(|(key, requirement)| {
                let mut values: Vec<&str> =
                    requirement.values().iter().map(|v| self.symbols.text(v.symbol)).collect();
                values.sort_unstable();
                let operator = requirement.operator().name();
                let values = values.join(",");
                format!("{} {operator} {values}", self.symbols.text(key)).trim_end().to_owned()
            })
            .collect();
        texts.sort_unstable();
        texts
    }

    /// The Create call began. It takes a millisecond at least: a static NodePool whose types are all out of stock asks
    /// for the next NodeClaim as soon as one has failed, so that no time would pass otherwise.
    pub fn begin_launch(&mut self, id: ClaimId) {
        self.cluster.claims[id].launching = true;
        let ordinal = self.cluster.claims[id].ordinal;
        let create = &self.settings.latency.create;
        let delay = self.streams.sample(create, Purpose::LaunchLatency, ordinal, 0).max(1);
        self.schedule(self.now() + SimDuration::from_ms(delay), Event::LaunchReturns(id));
    }

    /// The Create call returned without an instance.
    pub fn set_launch_failed(&mut self, id: ClaimId, reason: Arc<str>) {
        self.cluster.claims[id].launching = false;
        let claim = self.cluster.claim_ref(id);
        self.record(Fact::LaunchFailed { claim, reason });
    }

    /// The Create call returned an instance: the claim is launched and the machine boots.
    pub fn set_launched(&mut self, id: ClaimId, chosen: Chosen) {
        let pool_index = self.cluster.claims[id].pool;
        let pool = &self.cluster.pools[pool_index];
        let (types, tags) = (pool.listed.clone(), pool.tags.clone());
        let provided = pool.provided.get(chosen.instance_type as usize);
        let billed = provided.and_then(|it| {
            let (zone, capacity_type) = (chosen.zone, chosen.capacity_type);
            let news = self.cluster.market.news(&self.symbols, it.name, zone, capacity_type);
            Some(it.offering_price(zone, capacity_type)? * news)
        });
        let billed = billed.unwrap_or(chosen.price);
        let list = InstanceTypeRef { list: types, index: chosen.instance_type as usize };
        let zone_name = self.text(chosen.zone);
        let claim = &mut self.cluster.claims[id];
        claim.launching = false;
        let provider_id: Arc<str> =
            format!("aws:///{zone_name}/i-{:017x}", claim.ordinal + 1).into();
        for (key, requirement) in list.get().requirements.iter() {
            // Every requirement with exactly one value becomes a label; the template's own labels win.
            if let Some(value) = requirement.single()
                && claim.labels.get(key).is_none()
            {
                claim.labels.set(key, value);
            }
        }
        claim.labels.set(label::ZONE, chosen.zone);
        claim.labels.set(label::INSTANCE_TYPE, list.get().name);
        let capacity = self.symbols.intern_value(chosen.capacity_type.name());
        let claim = &mut self.cluster.claims[id];
        claim.labels.set(label::CAPACITY_TYPE, capacity);
        let launch = Launch {
            instance_type: self.symbols.text(list.get().name.symbol).into(),
            zone: zone_name,
            capacity_type: chosen.capacity_type.name(),
            price: billed,
            allocatable: list.get().allocatable.clone(),
            provider_id: provider_id.clone(),
            tags,
        };
        claim.instance = Some(Instance {
            instance_type: list,
            zone: chosen.zone,
            capacity_type: chosen.capacity_type,
            price: chosen.price,
            billed,
            provider_id,
            ran: false,
            terminating_at: None,
            gone: false,
            announced: SmallVec::new(),
        });
        self.cluster.unlaunched_count -= 1;
        self.cluster.pools[pool_index].cost.add(chosen.price);
        let claim = self.cluster.claim_ref(id);
        self.record(Fact::Launched { claim, launch });
        self.mark_unconsolidated();
        self.schedule_boot(id);
        self.notify_claim(id);
    }

    /// Draws when the instance runs and when its Node object appears.
    fn schedule_boot(&mut self, id: ClaimId) {
        let claim = &self.cluster.claims[id];
        let Some(instance) = &claim.instance else {
            return;
        };
        let latency = &self.settings.latency;
        let boot = self.boot_distribution(claim, instance.instance_type.get());
        let boot = self.streams.sample(boot, Purpose::RegistrationLatency, claim.ordinal, 0).max(0);
        let run = self.streams.sample(&latency.running, Purpose::RunningLatency, claim.ordinal, 0);
        // The two are drawn apart; an instance runs well before its kubelet reports.
        let run = run.clamp(0, boot * 6 / 10);
        let now = self.now();
        self.schedule(now + SimDuration::from_ms(run), Event::InstanceRunning(id));
        let pool = &self.cluster.pools[self.cluster.claims[id].pool];
        if now >= pool.faults.joins_fail_until {
            self.schedule(now + SimDuration::from_ms(boot), Event::NodeAppears(id));
        }
    }

    fn boot_distribution(&self, claim: &Claim, instance_type: &InstanceType) -> &Distribution {
        let boot = &self.cluster.pools[claim.pool].boot;
        let accelerators =
            ["nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi", "aws.amazon.com/neuron"];
        let store = self.symbols.find("karpenter.k8s.aws/instance-local-nvme");
        let has_store = store
            .and_then(|key| instance_type.requirements.get(key))
            .is_some_and(|requirement| requirement.single().is_some());
        if instance_type.bare_metal {
            &boot.metal
        } else if accelerators.iter().any(|resource| instance_type.capacity.get(resource) > 0) {
            &boot.accelerated
        } else if has_store {
            &boot.instance_store
        } else {
            &boot.ordinary
        }
    }

    /// EC2 state `running`: billing starts, unless the instance was told to terminate before.
    pub fn mark_instance_running(&mut self, id: ClaimId) {
        let Some(claim) = self.cluster.claims.get_mut(id) else {
            return;
        };
        let Some(instance) = claim.instance.as_mut() else {
            return;
        };
        if instance.terminating_at.is_none() {
            instance.ran = true;
            let fact = Fact::InstanceRunning(self.cluster.claim_ref(id));
            self.record(fact);
        }
    }

    /// Karpenter matched Node and claim: the unregistered taint goes.
    pub fn set_registered(&mut self, id: ClaimId) {
        let now = self.now();
        let unregistered = self.taint(UNREGISTERED_TAINT, Effect::NoExecute);
        let value = self.symbols.intern_value("true");
        let claim = &mut self.cluster.claims[id];
        claim.registered_at = Some(now.floor_to_second());
        claim.labels.set(label::REGISTERED, value);
        if let Some(node) = claim.node {
            let node = &mut self.cluster.nodes[node];
            node.taints.retain(|taint| !taint.matches(&unregistered));
            node.labels.set(label::REGISTERED, value);
        }
        let fact = Fact::Registered(self.cluster.claim_ref(id));
        self.record(fact);
        self.record_registration(self.cluster.claims[id].pool, true);
        self.notify_claim(id);
        self.wake(Wake::Workloads);
        self.wake(Wake::Scheduler);
    }

    /// The node may be counted on.
    pub fn set_initialized(&mut self, id: ClaimId) {
        let now = self.now();
        let value = self.symbols.intern_value("true");
        let claim = &mut self.cluster.claims[id];
        claim.initialized_at = Some(now.floor_to_second());
        claim.labels.set(label::INITIALIZED, value);
        let Some(node) = claim.node else { return };
        let node = &mut self.cluster.nodes[node];
        node.labels.set(label::INITIALIZED, value);
        let allocatable = node.allocatable.clone();
        let claim = self.cluster.claim_ref(id);
        self.record(Fact::Initialized { claim, allocatable });
        self.mark_unconsolidated();
        self.notify_claim(id);
    }

    /// Writes `status.lastPodEventTime`.
    pub fn set_last_pod_event(&mut self, id: ClaimId) {
        let value = self.now().floor_to_second();
        self.cluster.claims[id].last_pod_event_at = Some(value);
        let claim = self.cluster.claim_ref(id);
        self.record(Fact::LastPodEvent { claim, value });
        self.notify_claim(id);
    }

    /// nodeclaim.consistency looked at a claim, and found it in order or without its Node.
    pub fn set_scanned(&mut self, id: ClaimId, consistent: bool) {
        let now = self.now();
        let claim = &mut self.cluster.claims[id];
        claim.consistency_scanned_at = Some(now);
        if consistent && !claim.consistent {
            claim.consistent = true;
            self.notify_claim(id);
        }
    }

    /// A NodeClaim was written: the controllers that watch it look at it.
    pub(super) fn notify_claim(&mut self, id: ClaimId) {
        self.wake(Wake::Conditions(id));
        self.wake(Wake::Expiration(id));
        self.notify_node(id);
    }

    /// The Node of a NodeClaim was written, which nodeclaim.consistency watches too.
    pub(super) fn notify_node(&mut self, id: ClaimId) {
        if self.keeps_queue_order() {
            self.wake(Wake::Consistency(id));
        }
    }

    /// Sets or clears the Consolidatable condition.
    pub fn set_consolidatable(&mut self, id: ClaimId, status: bool) {
        if self.cluster.claims[id].consolidatable != status {
            self.cluster.claims[id].consolidatable = status;
            let claim = self.cluster.claim_ref(id);
            self.record(Fact::Consolidatable { claim, status });
            self.notify_claim(id);
        }
    }

    /// Karpenter saw that the claim's instance type is listed and sold.
    pub fn set_type_checked(&mut self, id: ClaimId) {
        let now = self.now();
        self.cluster.claims[id].type_checked_at = Some(now);
    }

    /// Sets or clears the Drifted condition. Its time moves only when it was not set.
    pub fn set_drifted(&mut self, id: ClaimId, reason: Option<Arc<str>>) {
        let since = self.now().floor_to_second();
        let claim = &mut self.cluster.claims[id];
        if claim.drifted.as_ref().map(|drift| &drift.reason) == reason.as_ref() {
            return;
        }
        let since = claim.drifted.as_ref().map_or(since, |drift| drift.since);
        claim.drifted = reason.clone().map(|reason| Drift { reason, since });
        let claim = self.cluster.claim_ref(id);
        self.record(Fact::Drifted { claim, reason });
        self.notify_claim(id);
    }

    /// Promises the node to a pod for the nomination window.
    pub fn nominate(&mut self, id: ClaimId) {
        let until = self.now() + self.settings.karpenter.nomination_window();
        let claim = &mut self.cluster.claims[id];
        claim.nominated_until = claim.nominated_until.max(until);
    }

    /// The disruption queue takes or releases a candidate, and writes its condition DisruptionReason.
    pub fn set_in_command(&mut self, id: ClaimId, in_command: bool) {
        if let Some(claim) = self.cluster.claims.get_mut(id) {
            claim.in_command = in_command;
            self.notify_claim(id);
        }
    }

    /// The disruption queue's in-memory mark.
    pub fn set_marked_for_deletion(&mut self, id: ClaimId, marked: bool) {
        if let Some(claim) = self.cluster.claims.get_mut(id) {
            claim.marked_for_deletion = marked;
            self.cluster.index_leaving(id);
        }
    }

    /// Writes a NodeClaim's deletionTimestamp. Returns `false` when it had one.
    pub fn delete_claim(&mut self, id: ClaimId, cause: DeletionCause) -> bool {
        let now = self.now().floor_to_second();
        let Some(claim) = self.cluster.claims.get_mut(id) else {
            return false;
        };
        if claim.deletion_at.is_some() {
            return false;
        }
        // Karpenter compares its node before and after: one that a command has marked is the same, and a claim that is
        // not launched has no node.
        let changes_state = claim.is_state_node() && !claim.marked_for_deletion;
        claim.deletion_at = Some(now);
        claim.deletion_cause = Some(cause);
        if let Some(grace) = claim.template.template.termination_grace_period {
            claim.termination_at.get_or_insert(now + grace);
        }
        self.cluster.index_leaving(id);
        let fact = Fact::ClaimDeleted(self.cluster.claim_ref(id));
        self.record(fact);
        if changes_state {
            self.mark_unconsolidated();
        }
        self.wake(Wake::Lifecycle(id));
        self.notify_claim(id);
        self.wake_static_pools(id);
        true
    }

    /// The provider's Delete call. Returns `true` when the instance is not found, i.e. terminated.
    pub fn terminate_instance(&mut self, id: ClaimId) -> bool {
        let now = self.now();
        let claim = &mut self.cluster.claims[id];
        let ordinal = claim.ordinal;
        let Some(instance) = claim.instance.as_mut() else {
            return true;
        };
        if instance.gone {
            return true;
        }
        if instance.terminating_at.is_none() {
            instance.terminating_at = Some(now);
            let claim = self.cluster.claim_ref(id);
            self.record(Fact::InstanceTerminating { claim });
            let terminate = &self.settings.latency.terminate;
            let delay = self.streams.sample(terminate, Purpose::TerminationLatency, ordinal, 0);
            self.schedule(now + SimDuration::from_ms(delay.max(0)), Event::InstanceGone(id));
        }
        false
    }

    /// EC2 reports the instance as terminated.
    pub fn mark_instance_gone(&mut self, id: ClaimId) {
        let Some(claim) = self.cluster.claims.get_mut(id) else {
            return;
        };
        if let Some(instance) = claim.instance.as_mut() {
            instance.gone = true;
            let fact = Fact::InstanceTerminated(self.cluster.claim_ref(id));
            self.record(fact);
        }
    }

    /// Removes a NodeClaim object.
    pub fn remove_claim(&mut self, id: ClaimId) {
        let fact = Fact::ClaimRemoved(self.cluster.claim_ref(id));
        let Some(claim) = self.cluster.claims.remove(id) else {
            return;
        };
        let timers = [
            claim.lifecycle_timer,
            claim.conditions_timer,
            claim.expiration_timer,
            claim.consistency_timer,
        ];
        for timer in timers.into_iter().flatten() {
            self.queue.cancel(timer);
        }
        self.cluster.claims_by_name.remove(&claim.name);
        self.cluster.leaving.remove(&claim.name);
        match &claim.instance {
            None => self.cluster.unlaunched_count -= 1,
            Some(instance) => {
                self.cluster.pools[claim.pool].cost.subtract(instance.price);
                self.mark_unconsolidated();
            }
        }
        if self.cluster.pools[claim.pool].spec.replicas.is_some() {
            self.wake(Wake::StaticPools);
        }
        self.record(fact);
    }

    /// The controllers of static NodePools look at what becomes of their NodeClaims.
    fn wake_static_pools(&mut self, id: ClaimId) {
        let pool = self.cluster.claims[id].pool;
        if self.cluster.pools[pool].spec.replicas.is_some() {
            self.wake(Wake::StaticPools);
        }
    }

    /// The lifecycle controller wrote the claim: its next pass comes no earlier than 1 s from now.
    pub fn pause_lifecycle(&mut self, id: ClaimId) {
        let until = self.now() + SimDuration::from_seconds(1);
        self.cluster.claims[id].lifecycle_not_before = until;
    }
}
