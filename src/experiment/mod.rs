//! Runs of a scenario (layer 8): one run with its observers.

pub mod run;

pub use run::{Failure, Observer, run};
