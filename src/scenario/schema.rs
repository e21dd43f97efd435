//! The scenario file as it is written: RON, every field with a default except the manifests,
//! unknown fields refused.
//!
//! Durations and dates are texts here; [`super::settings`] gives them their meaning.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A scenario.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Names the result's folder; the file's name without its ending when absent.
    pub name: Option<String>,
    /// One sentence for the report.
    pub about: String,
    /// UTC instant of virtual time zero, a whole second.
    pub start: String,
    /// Length of the run.
    pub horizon: String,
    /// Seed of all draws.
    pub seed: u64,
    /// The cluster and its manifests.
    pub cluster: Cluster,
    /// What people and pipelines do to the cluster.
    pub timeline: Vec<Step>,
    /// What changes by itself.
    pub workloads: Vec<Workload>,
    /// How the cloud behaves.
    pub cloud: Cloud,
    /// How pods start and stop.
    pub pods: Pods,
    /// How kube-scheduler chooses nodes.
    pub scheduler: Scheduler,
    /// How the workload controllers behave.
    pub controllers: Controllers,
    /// Who adds and removes nodes.
    pub autoscaler: Autoscaler,
    /// Who wins where Karpenter itself chooses at random.
    pub tie_breaks: TieBreaks,
    /// The policies; one without a patch when there are none.
    pub policies: Vec<Policy>,
    /// What a sweep varies.
    pub axes: Vec<Axis>,
    /// Runs of one policy, each with draws of its own.
    pub replications: u32,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            name: None,
            about: String::new(),
            start: "2026-01-05T00:00:00Z".to_owned(),
            horizon: "24h".to_owned(),
            seed: 1,
            cluster: Cluster::default(),
            timeline: Vec::new(),
            workloads: Vec::new(),
            cloud: Cloud::default(),
            pods: Pods::default(),
            scheduler: Scheduler::default(),
            controllers: Controllers::default(),
            autoscaler: Autoscaler::default(),
            tie_breaks: TieBreaks::default(),
            policies: Vec::new(),
            axes: Vec::new(),
            replications: 1,
        }
    }
}

/// `cluster`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// The EC2 region.
    pub region: String,
    /// The zones with subnets; all zones of the region when empty.
    pub zones: Vec<String>,
    /// Files or folders of manifests, relative to the scenario.
    pub manifests: Vec<String>,
    /// Values of `${VAR}` in manifests.
    pub env: BTreeMap<String, String>,
}

impl Default for Cluster {
    fn default() -> Cluster {
        Cluster {
            region: "us-east-1".to_owned(),
            zones: Vec::new(),
            manifests: Vec::new(),
            env: BTreeMap::new(),
        }
    }
}

/// An entry of `timeline`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub enum Step {
    /// Once, this long after the start.
    At(String, Action),
}

/// What happens.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub enum Action {
    /// `kubectl scale`: `Deployment/NAMESPACE/NAME`, replicas.
    Scale(String, u32),
    /// `kubectl apply -f`: a file or folder, relative to the scenario.
    Apply(String),
    /// `kubectl delete`: `NodePool/NAME`, `Node/NAME`, `Deployment/NAMESPACE/NAME`, likewise a Job
    /// or a PodDisruptionBudget.
    Delete(String),
    /// All present nodes of `NodePool/NAME` or `EC2NodeClass/NAME` are drifted from now on.
    Drift(String),
    /// A new AMI: all present nodes of `EC2NodeClass/NAME` are drifted from now on.
    ReleaseAmi(String),
    /// EC2 has none of some offerings for a while.
    StockOut {
        /// Instance types, `*` standing for any text; all when absent.
        #[serde(default)]
        types: Option<String>,
        /// Zone; all when absent.
        #[serde(default)]
        zone: Option<String>,
        /// `on-demand`, `spot` or `reserved`; all when absent.
        #[serde(default)]
        capacity_type: Option<String>,
        /// How long.
        lasts: String,
    },
    /// EC2 warns so many spot nodes of `NodePool/NAME` that it takes them back in two minutes.
    Interrupt(String, u32),
    /// EC2 recommends to replace so many spot nodes of `NodePool/NAME`. Karpenter notes it.
    RecommendRebalance(String, u32),
    /// EC2 schedules the retirement of so many nodes of `NodePool/NAME`, to end their instances after
    /// this long. Karpenter drains them at once.
    RetireInstances(String, u32, String),
    /// Status checks of so many instances of `NodePool/NAME` fail from now on. Karpenter replaces them
    /// by force when it has seen so for two minutes.
    ImpairInstances(String, u32),
    /// EC2 answers the launches of `NodePool/NAME` with an error other than insufficient capacity for
    /// this long.
    FailLaunches(String, String),
    /// Instances that `NodePool/NAME` launches within this time never join the cluster.
    FailJoins(String, String),
    /// So many instances of `NodePool/NAME` end without notice.
    LoseInstances(String, u32),
    /// On so many nodes of `NodePool/NAME` a condition turns bad: `Ready`, `NetworkingReady`,
    /// `StorageReady`, `KernelReady`, `ContainerRuntimeReady` or `AcceleratedHardwareReady`.
    BreakNodes(String, u32, String),
    /// AWS no longer offers the instance types of this name, `*` standing for any text.
    Withdraw(String),
    /// The bound pod of this number, in the order of creation and counted round, of
    /// `Deployment/NAMESPACE/NAME` is annotated with `karpenter.sh/do-not-disrupt`.
    DoNotDisrupt(String, u32),
    /// `kubectl patch --type merge`: `KIND/NAME` or `KIND/NAMESPACE/NAME` of a NodePool, EC2NodeClass,
    /// Deployment, DaemonSet, PodDisruptionBudget, NodeOverlay or CapacityBuffer, then the patch as
    /// policies write theirs: `Patch("NodePool/default", { "spec": { "weight": 10 } })`. A Deployment
    /// keeps its replicas unless the patch names them.
    Patch(String),
    /// From now on EC2 asks so many times as much for some offerings, running instances included.
    /// Karpenter decides by the old prices until it next asks for them, 12 hours after its start and
    /// every 12 hours from then on.
    PriceChange {
        /// Instance types, `*` standing for any text; all when absent.
        #[serde(default)]
        types: Option<String>,
        /// Zone; all when absent.
        #[serde(default)]
        zone: Option<String>,
        /// `on-demand`, `spot` or `reserved`; all when absent.
        #[serde(default)]
        capacity_type: Option<String>,
        /// The new price by the old one.
        factor: f64,
    },
    /// The Karpenter controller restarts: commands under way, nominations, marks, back-offs and what it
    /// knows of failed launches are lost; what stands in objects is not.
    Restart,
}

/// An entry of `workloads`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub enum Workload {
    /// Pods that come by lot and run for a while.
    Arrivals {
        /// Begins the pods' names.
        name: String,
        /// Their namespace.
        #[serde(default = "default_namespace")]
        namespace: String,
        /// When they come.
        process: Process,
        /// Kinds of pods, drawn by their weights.
        pods: Vec<PodShape>,
        /// From Running to the end.
        lifetime: Latency,
        /// What an eviction means.
        #[serde(default)]
        on_eviction: OnEviction,
        /// From when on.
        #[serde(default)]
        from: Option<String>,
        /// Until when.
        #[serde(default)]
        until: Option<String>,
    },
    /// Recorded pods.
    Trace {
        /// The workload's name.
        name: String,
        /// Namespace of the pods.
        #[serde(default = "default_namespace")]
        namespace: String,
        /// The file, relative to the scenario.
        file: String,
        /// What an eviction means for jobs that end; pods of services, and those that never end, always come back.
        #[serde(default)]
        on_eviction: OnEviction,
    },
    /// A service whose replicas change.
    Replicas {
        /// `Deployment/NAMESPACE/NAME`.
        template: String,
        /// A file of `time_s,deployment,replicas`, relative to the scenario.
        #[serde(default)]
        series: Option<String>,
        /// The deployment in the file; the Deployment's own name when absent.
        #[serde(default)]
        column: Option<String>,
        /// A load that the replicas serve.
        #[serde(default)]
        curve: Option<Curve>,
    },
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// When pods come.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub enum Process {
    /// At a constant rate.
    Poisson {
        /// Mean number an hour.
        per_hour: f64,
    },
    /// At a rate that follows the day.
    Diurnal {
        /// Mean number an hour of a working day.
        mean_per_hour: f64,
        /// The peak over the mean, from 1 to 3.
        #[serde(default = "Curve::peak_to_mean")]
        peak_to_mean: f64,
        /// When the peak is, UTC.
        #[serde(default = "Curve::peak_at")]
        peak_at: String,
        /// Rate of Saturdays and Sundays relative to other days.
        #[serde(default = "Curve::weekend")]
        weekend: f64,
    },
    /// At a rate for each hour of the day (24 values) or of the week from Monday (168), UTC.
    Weekly {
        /// Mean numbers an hour.
        per_hour: Vec<f64>,
    },
    /// Several together.
    Bursts {
        /// When bursts begin: any process but this one.
        at: Box<Process>,
        /// Pods of a burst, from least to most, all equally likely.
        pods: (u32, u32),
        /// The span within which they come.
        within: String,
    },
}

/// What becomes of evicted pods.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum OnEviction {
    /// A new pod starts over.
    #[default]
    StartOver,
    /// A new pod goes on where the old one was.
    GoOn,
    /// The pod is lost.
    Lose,
}

/// A kind of pod in short form.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PodShape {
    /// How often it comes, relative to the other kinds.
    pub weight: u32,
    /// CPU request.
    pub cpu: String,
    /// Memory request.
    pub memory: String,
    /// Request of ephemeral storage.
    pub ephemeral_storage: String,
    /// Whole GPUs.
    pub gpu: u32,
    /// Node labels that it selects.
    pub node_selector: BTreeMap<String, String>,
    /// Priority.
    pub priority: i32,
    /// Grace period.
    pub grace: String,
    /// `karpenter.sh/do-not-disrupt`.
    pub do_not_disrupt: bool,
}

impl Default for PodShape {
    fn default() -> PodShape {
        PodShape {
            weight: 1,
            cpu: String::new(),
            memory: String::new(),
            ephemeral_storage: String::new(),
            gpu: 0,
            node_selector: BTreeMap::new(),
            priority: 0,
            grace: "30s".to_owned(),
            do_not_disrupt: false,
        }
    }
}

/// A load over time.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub enum Curve {
    /// The same every day, but for weekends and noise.
    Daily {
        /// Replicas that the mean load of a working day needs.
        mean: f64,
        /// The peak over the mean, from 1 to 3.
        #[serde(default = "Curve::peak_to_mean")]
        peak_to_mean: f64,
        /// When the peak is, UTC.
        #[serde(default = "Curve::peak_at")]
        peak_at: String,
        /// Load of Saturdays and Sundays relative to other days.
        #[serde(default = "Curve::weekend")]
        weekend: f64,
        /// Standard deviation of the logarithm of the noise.
        #[serde(default)]
        noise: f64,
        /// How often the load is looked at.
        #[serde(default = "Curve::every")]
        every: String,
        /// Replicas at least.
        #[serde(default = "Curve::least")]
        least: u32,
        /// Replicas at most.
        #[serde(default = "Curve::most")]
        most: u32,
    },
}

impl Curve {
    fn peak_to_mean() -> f64 {
        1.6
    }

    fn peak_at() -> String {
        "14:00".to_owned()
    }

    fn weekend() -> f64 {
        1.0
    }

    fn every() -> String {
        "5m".to_owned()
    }

    fn least() -> u32 {
        1
    }

    fn most() -> u32 {
        1_000_000
    }
}

/// A random or fixed span of time.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub enum Latency {
    /// Always the same.
    Fixed(String),
    /// Log-normal through two quantiles.
    LogNormal {
        /// Median.
        p50: String,
        /// 95th percentile.
        p95: String,
    },
    /// Uniform between two ends.
    Uniform(String, String),
    /// Exponential.
    Exponential {
        /// Mean.
        mean: String,
    },
    /// Weibull.
    Weibull {
        /// Shape, at least 0.1; below 1 most values are short and some very long.
        shape: f64,
        /// 63rd percentile.
        scale: String,
    },
    /// Pareto between two ends.
    Pareto {
        /// Exponent.
        shape: f64,
        /// Shortest.
        least: String,
        /// Longest.
        most: String,
    },
    /// One of these, all equally likely.
    Empirical(Vec<String>),
}

fn log_normal(p50: &str, p95: &str) -> Latency {
    Latency::LogNormal { p50: p50.to_owned(), p95: p95.to_owned() }
}

/// `cloud`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Cloud {
    /// How long EC2 takes.
    pub latency: CloudLatency,
}

/// `cloud.latency`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct CloudLatency {
    /// NodeClaim created to Launched: the CreateFleet call.
    pub create: Latency,
    /// Launched to running, when billing starts.
    pub running: Latency,
    /// Launched to Registered, of every type and AMI family; by family and kind of type when absent.
    pub registered: Option<Latency>,
    /// Registered to node Ready.
    pub ready: Latency,
    /// Node Ready to Initialized.
    pub init: Latency,
    /// TerminateInstances to terminated.
    pub terminate: Latency,
    /// A pod's end to the detachment of its persistent volumes.
    pub detach: Latency,
    /// From what EC2 says of an instance to the message in Karpenter's interruption queue.
    pub message: Latency,
}

impl Default for CloudLatency {
    fn default() -> CloudLatency {
        CloudLatency {
            create: log_normal("1.5s", "4s"),
            running: log_normal("5s", "12s"),
            registered: None,
            ready: log_normal("8s", "18s"),
            init: log_normal("1s", "3s"),
            terminate: log_normal("45s", "150s"),
            detach: log_normal("10s", "30s"),
            message: Latency::Fixed("2s".to_owned()),
        }
    }
}

/// `pods`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Pods {
    /// Containers started to Running, images present.
    pub start: Latency,
    /// Deletion to gone, at most the pod's grace period.
    pub stop: Latency,
    /// Pull of an image that the node does not have.
    pub image_pull: Latency,
}

impl Default for Pods {
    fn default() -> Pods {
        Pods {
            start: log_normal("1.5s", "4s"),
            stop: Latency::Fixed("2s".to_owned()),
            image_pull: log_normal("7.5s", "16s"),
        }
    }
}

/// `scheduler`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Scheduler {
    /// The scores that are summed.
    pub scores: Vec<Score>,
    /// Who wins among equal nodes.
    pub ties: NodeTies,
}

impl Default for Scheduler {
    fn default() -> Scheduler {
        Scheduler { scores: vec![Score::LeastAllocated], ties: NodeTies::default() }
    }
}

/// A score of kube-scheduler.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Score {
    /// NodeResourcesFit with LeastAllocated: emptier nodes first.
    LeastAllocated,
}

/// Scores of the default profile that are not modelled yet.
pub const LATER_SCORES: [&str; 7] = [
    "BalancedAllocation",
    "ImageLocality",
    "InterPodAffinity",
    "MostAllocated",
    "NodeAffinity",
    "PodTopologySpread",
    "TaintToleration",
];

/// Who wins among nodes of equal score.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum NodeTies {
    /// The smaller name.
    Name,
    /// A keyed draw, as kube-scheduler draws.
    #[default]
    Seeded,
}

/// `controllers`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Controllers {
    /// Which pods a scale-down deletes.
    pub victims: Victims,
    /// From a change to the controller's answer.
    pub latency: String,
}

impl Default for Controllers {
    fn default() -> Controllers {
        Controllers { victims: Victims::default(), latency: "50ms".to_owned() }
    }
}

/// Which pods a scale-down deletes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum Victims {
    /// The ReplicaSet controller's full order.
    #[default]
    ReplicaSet,
    /// The newest.
    Newest,
    /// Those on nodes with more pods of the Deployment, then the newest.
    Colocated,
}

/// `autoscaler`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub enum Autoscaler {
    /// Karpenter.
    Karpenter {
        /// Its command-line options.
        #[serde(default)]
        options: KarpenterOptions,
    },
}

impl Default for Autoscaler {
    fn default() -> Autoscaler {
        Autoscaler::Karpenter { options: KarpenterOptions::default() }
    }
}

/// Karpenter's options.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct KarpenterOptions {
    /// `BATCH_IDLE_DURATION`.
    pub batch_idle: String,
    /// `BATCH_MAX_DURATION`.
    pub batch_max: String,
    /// `PREFERENCE_POLICY`.
    pub preference_policy: PreferencePolicy,
    /// `MIN_VALUES_POLICY`.
    pub min_values_policy: MinValuesPolicy,
    /// `INTERRUPTION_QUEUE` is set, as the installation guide does it and Karpenter's defaults do not:
    /// EC2's warnings and changes of state reach Karpenter.
    pub interruption_queue: bool,
    /// `FEATURE_GATES` that differ from the defaults.
    pub feature_gates: BTreeMap<String, bool>,
    /// Computing time of one what-if of the disruption loop, whose searches Karpenter limits to
    /// one and three minutes. No option of Karpenter's: it depends on the cluster's size and on the
    /// controller's CPU.
    pub evaluation_time: String,
}

impl Default for KarpenterOptions {
    fn default() -> KarpenterOptions {
        KarpenterOptions {
            batch_idle: "1s".to_owned(),
            batch_max: "10s".to_owned(),
            preference_policy: PreferencePolicy::default(),
            min_values_policy: MinValuesPolicy::default(),
            interruption_queue: true,
            feature_gates: BTreeMap::new(),
            evaluation_time: "0s".to_owned(),
        }
    }
}

/// What Karpenter makes of preferences.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum PreferencePolicy {
    /// Requirements first, dropped one by one.
    #[default]
    Respect,
    /// Left to kube-scheduler.
    Ignore,
}

/// What Karpenter makes of `minValues` that cannot be met.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum MinValuesPolicy {
    /// No node.
    #[default]
    Strict,
    /// A node with fewer options.
    BestEffort,
}

/// Who wins where Karpenter itself chooses at random.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum TieBreaks {
    /// Fixed rules, those of the recorded decisions.
    Canonical,
    /// A keyed draw.
    #[default]
    Seeded,
}

/// A policy.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name in reports.
    pub name: String,
    /// What it changes: a value for each object or setting. Read with its places, see [`super::change`].
    #[serde(default)]
    pub patch: IgnoredAny,
}

/// An axis of a sweep.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// What is varied: `NodePool/default:spec.disruption.consolidateAfter`.
    pub path: String,
    /// The values. Read with their places, see [`super::change`].
    #[serde(default)]
    pub values: IgnoredAny,
}
