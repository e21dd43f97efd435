//! The input of a run: the scenario file and the manifests that it names, as plain validated data
//! (layer 7).

pub mod capacity_buffer;
pub mod catalog;
pub mod change;
mod disruption_budget;
pub mod file;
pub mod inputs;
mod job;
mod kustomize;
pub mod latency;
pub mod load;
pub mod manifest;
pub mod node_class;
pub mod node_overlay;
pub mod node_pool;
mod old_version;
pub mod patch;
pub mod pod;
pub mod pod_topology;
pub mod reader;
pub mod requirement;
pub mod resolve;
pub mod ron_places;
pub mod schema;
mod series;
pub mod settings;
pub mod splice;
pub mod step;
mod study;
mod substitute;
mod timeline;
pub mod trace;
mod variant;
pub mod volume;
pub mod workloads;
pub mod yaml;

pub use change::{Choice, Setting, Written};
pub use inputs::{Inputs, KeptFiles, RecordingFiles};
pub use load::{DiskFiles, Files, LoadedScenario, MemoryFiles, TimelineAction, load, load_variant};
pub use manifest::Objects;
pub use settings::{Catalogue, Settings};
