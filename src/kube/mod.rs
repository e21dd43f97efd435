//! The Kubernetes and Karpenter vocabulary: plain data and pure predicates (layer 2).

pub mod capacity_buffer;
pub mod disruption_budget;
pub mod label;
pub mod node_overlay;
pub mod node_pool;
pub mod pod;
pub mod port;
pub mod requirement;
pub mod schedule;
pub mod selector;
pub mod taint;
pub mod topology;
pub mod volume;
pub mod workload;

pub use label::Labels;
pub use node_overlay::NodeOverlay;
pub use node_pool::NodePool;
pub use pod::PodClass;
pub use port::HostPort;
pub use requirement::{Operator, Requirement, Requirements};
pub use selector::LabelSelector;
pub use taint::{Effect, Taint, Toleration};
