//! A journal made by hand, small enough to count its figures on paper: the input of tests of recorder, log and outputs.
//!
//! Two hours. Node `default-1` (on-demand, 0.096 USD an hour) runs from 70 s, holds two pods of `front` (half of its
//! CPU each) and a daemon pod from 95 s on, expires at 3600 s and is terminated at 3632 s. Node `default-2` (spot,
//! 0.036 USD an hour, tagged) runs from 610 s, holds one pod of `job` (a quarter of its memory) from 640 s to 1600 s
//! and goes empty at 1720 s. Node `default-3` replaces the first and lives. Three pods of `huge` find no node.

use std::sync::Arc;

use super::{Header, Recorder, RunResult};
use crate::units::{Lane, ResourceVec, SimDuration, SimTime};
use crate::world::journal::{Cause, ClaimRef, CommandRef, Fact, Launch, PodRef, Record};

const GB: i64 = 1_000_000_000;
const TOO_LARGE: &str = "no instance type has enough resources, requirements=karpenter.sh/nodepool In [default], \
                         resources={\"cpu\":\"64\",\"pods\":\"2\"}";

fn pod(ordinal: u64, workload: &str, cpu_milli: i64, memory_bytes: i64) -> PodRef {
    let mut parts = workload.split('/').skip(1);
    let namespace = parts.next().unwrap_or_default();
    let name = format!("{}-{ordinal}", parts.next().unwrap_or_default());
    PodRef {
        ordinal,
        namespace: namespace.into(),
        name: name.into(),
        workload: workload.into(),
        cpu_milli,
        memory_bytes,
        daemon: workload.starts_with("DaemonSet"),
    }
}

fn front(ordinal: u64) -> PodRef {
    pod(ordinal, "Deployment/web/front", 1_000, GB)
}

fn huge(ordinal: u64) -> PodRef {
    pod(ordinal, "Deployment/other/huge", 64_000, GB)
}

fn daemon(ordinal: u64) -> PodRef {
    pod(ordinal, "DaemonSet/kube-system/agent", 0, 400_000_000)
}

fn claim(ordinal: u64) -> ClaimRef {
    ClaimRef { ordinal, name: format!("default-{ordinal}").into(), pool: "default".into() }
}

fn allocatable() -> ResourceVec {
    let mut list = ResourceVec::default();
    list.set_lane(Lane::Cpu, 2_000);
    list.set_lane(Lane::Memory, 8 * GB);
    list.set_lane(Lane::Pods, 29);
    list
}

/// Facts with their milliseconds.
struct Tape(Vec<Record>);

impl Tape {
    fn say(&mut self, at_ms: i64, fact: Fact) {
        self.0.push(Record { at: SimTime::from_ms(at_ms), fact });
    }

    /// A pod is bound and runs two seconds later.
    fn bind(&mut self, at_s: i64, pod: &PodRef, node: &ClaimRef) {
        self.say(at_s * 1_000, Fact::PodBound { pod: pod.clone(), node: node.clone() });
        self.say(at_s * 1_000 + 2_000, Fact::PodRunning(pod.clone()));
    }

    /// A node from its creation to Initialized, 34 s later.
    fn boot(&mut self, at_s: i64, claim: &ClaimRef, launch: Launch, reason: &'static str) {
        let at = at_s * 1_000;
        let mut requests = ResourceVec::default();
        requests.set_lane(Lane::Cpu, 2_000);
        requests.set_lane(Lane::Memory, 2 * GB);
        let instance_types: Arc<[Arc<str>]> =
            [launch.instance_type.clone(), "m5.xlarge".into()].into();
        let created = Fact::ClaimCreated {
            claim: claim.clone(),
            reason,
            instance_types,
            requirements: vec!["karpenter.sh/nodepool In default".to_owned()],
            requests,
        };
        self.say(at, created);
        self.say(at + 2_250, Fact::Launched { claim: claim.clone(), launch });
        self.say(at + 9_000, Fact::InstanceRunning(claim.clone()));
        self.say(at + 19_000, Fact::Registered(claim.clone()));
        self.say(at + 33_000, Fact::NodeReady(claim.clone()));
        let initialized = Fact::Initialized { claim: claim.clone(), allocatable: allocatable() };
        self.say(at + 34_000, initialized);
    }

    /// The instance stops, and 40 s later everything is gone.
    fn stop(&mut self, at_s: i64, claim: &ClaimRef) {
        let at = at_s * 1_000;
        self.say(at, Fact::InstanceTerminating { claim: claim.clone() });
        self.say(at + 38_000, Fact::InstanceTerminated(claim.clone()));
        self.say(at + 39_000, Fact::NodeRemoved(claim.clone()));
        self.say(at + 40_000, Fact::ClaimRemoved(claim.clone()));
    }
}

fn launch(instance_type: &str, price: f64, spot: bool) -> Launch {
    let zone = if spot { "us-west-2b" } else { "us-west-2a" };
    let tags: Vec<(Arc<str>, Arc<str>)> =
        if spot { vec![("team".into(), "search".into())] } else { Vec::new() };
    Launch {
        instance_type: instance_type.into(),
        zone: zone.into(),
        capacity_type: if spot { "spot" } else { "on-demand" },
        price,
        allocatable: allocatable(),
        provider_id: format!("aws:///{zone}/i-{}", instance_type.replace('.', "")).into(),
        tags: tags.into(),
    }
}

/// The facts, ascending by instant.
pub fn journal() -> Vec<Record> {
    let mut tape = Tape(Vec::new());
    first_node(&mut tape);
    second_node(&mut tape);
    expiry(&mut tape);
    tape.0.sort_by_key(|record| record.at);
    tape.0
}

fn first_node(tape: &mut Tape) {
    let scaled = Fact::Scaled { workload: "Deployment/web/front".into(), replicas: 2 };
    tape.say(60_000, scaled);
    tape.say(60_000, Fact::PodCreated(front(1)));
    tape.say(60_000, Fact::PodCreated(front(2)));
    for ordinal in 20..23 {
        tape.say(60_000, Fact::PodCreated(huge(ordinal)));
    }
    for ordinal in 20..23 {
        let pod = huge(ordinal);
        tape.say(61_000, Fact::PodFailedScheduling { pod, error: TOO_LARGE.into() });
    }
    let batch = Fact::BatchScheduled {
        pods: vec![front(1), front(2)],
        pod_count: 2,
        claims: 1,
        claim_pods: 2,
        nodes: 0,
        node_pods: 0,
    };
    tape.say(61_000, batch);
    tape.boot(61, &claim(1), launch("m5.large", 0.096, false), "provisioned");
    tape.say(80_000, Fact::PodCreated(daemon(30)));
    tape.bind(95, &daemon(30), &claim(1));
    tape.bind(95, &front(1), &claim(1));
    tape.bind(95, &front(2), &claim(1));
}

fn second_node(tape: &mut Tape) {
    let (job, node) = (pod(10, "Job/batch/report", 250, 2 * GB), claim(2));
    tape.say(600_000, Fact::PodCreated(job.clone()));
    tape.boot(601, &node, launch("c5.large", 0.036, true), "provisioned");
    tape.bind(640, &job, &node);
    let terminating =
        Fact::PodTerminating { pod: job.clone(), node: node.clone(), cause: Cause::ScaleDown };
    tape.say(1_590_000, terminating);
    tape.say(1_600_000, Fact::PodRemoved { pod: job, node: Some(node.clone()) });
    let command = CommandRef {
        id: 1,
        method: "Emptiness",
        reason: "Empty",
        decision: "delete",
        candidates: vec![(node.clone(), "c5.large".into(), "spot")],
        pod_count: 0,
        savings: 0.036,
    };
    tape.say(1_700_000, Fact::DisruptionComputed(command.clone()));
    let started = Fact::DisruptionStarted { command: command.clone(), replacements: vec![] };
    tape.say(1_715_000, started);
    tape.say(1_716_000, Fact::DisruptionSucceeded(command));
    tape.say(1_716_000, Fact::DrainStarted(node.clone()));
    tape.stop(1_720, &node);
}

fn expiry(tape: &mut Tape) {
    let (old, new) = (claim(1), claim(3));
    tape.say(3_600_000, Fact::Expired(old.clone()));
    tape.say(3_600_000, Fact::DrainStarted(old.clone()));
    for ordinal in [1, 2] {
        let (pod, node) = (front(ordinal), old.clone());
        tape.say(3_600_000, Fact::PodTerminating { pod, node, cause: Cause::Expired });
        tape.say(3_601_000, Fact::PodCreated(front(ordinal + 2)));
        let (pod, node) = (front(ordinal), Some(old.clone()));
        tape.say(3_630_000, Fact::PodRemoved { pod, node });
    }
    tape.boot(3_602, &new, launch("m5.large", 0.096, false), "provisioned");
    tape.bind(3_640, &front(3), &new);
    tape.bind(3_640, &front(4), &new);
    tape.stop(3_632, &old);
    tape.say(3_672_000, Fact::PodRemoved { pod: daemon(30), node: Some(old) });
}

/// The header of the run.
pub fn header() -> Header {
    Header {
        scenario: "sample".to_owned(),
        about: "Made by hand.".to_owned(),
        policy: "NodePool default: WhenEmptyOrUnderutilized after 1m, expireAfter 1h".to_owned(),
        start_epoch_s: 1_767_603_600,
        horizon: SimDuration::from_minutes(120),
        seed: 42,
        region: "us-west-2".to_owned(),
        price_basis: "on-demand list us-west-2, table of 2026-08".to_owned(),
        input_digest: "5f2c9a0b".to_owned(),
        catalogue_digest: "us-west-2/91d3e7c4".to_owned(),
        program: "karpsim 0.1.0".to_owned(),
        semantics: "karpenter 1.14.1".to_owned(),
    }
}

/// What the journal comes to.
pub fn recorded() -> RunResult {
    let mut recorder = Recorder::new(header());
    journal().iter().for_each(|record| recorder.fold(record));
    recorder.finish(SimTime::from_seconds(7_200))
}
