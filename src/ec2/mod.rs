//! EC2 as data: instance types, offerings, launch choice, latencies, billing (layer 2).

pub mod capacity;
pub mod catalog;
pub mod fleet;
pub mod instance_type;
pub mod market;
pub mod node_class;
pub mod overhead;
pub mod overlay;
pub mod price_change;
pub mod provider;

pub use catalog::Catalog;
pub use instance_type::{CapacityType, InstanceType, Offering};
