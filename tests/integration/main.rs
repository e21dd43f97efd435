//! One integration-test binary; one module a topic.

mod behaviour;
mod blueprints;
mod catalog;
mod change;
mod cli;
mod conformance;
mod experiment;
mod explain;
mod fuzz;
mod invariants;
mod kustomize;
mod manifests;
mod memos;
mod phenomena;
mod reference;
mod scenario;
mod shipped;
mod tidy;
mod timeline;
