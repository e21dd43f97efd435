//! karpsim: a dry run for Karpenter in virtual time.
//!
//! Layers, lowest first; a module may import from lower layers only (tested in `tests/integration/tidy.rs`):
//! `units`, `diagnostic` ← `engine` ← `kube` ← `ec2` ← `world` ← `scheduling` ← `karpenter`, `kube_scheduler`,
//! `workload` ← `simulation`, `outcome` ← `scenario` ← `conformance`, `experiment` ← `report` ← `cli`.

pub mod cli;
pub mod conformance;
pub mod diagnostic;
pub mod ec2;
pub mod engine;
pub mod experiment;
pub mod karpenter;
pub mod kube;
pub mod kube_scheduler;
pub mod outcome;
pub mod report;
pub mod scenario;
pub mod scheduling;
pub mod simulation;
pub mod units;
pub mod workload;
pub mod world;
