//! Runs of a scenario (layer 8): one run with its observers, and studies of many.
//!
//! A study is a grid of axis values, policies and replications. All cells of one replication share its seed, so that
//! they see the same random world (common random numbers) and can be compared run by run.

pub mod comparison;
pub mod fuzz;
pub mod grid;
pub mod random_cluster;
pub mod run;
pub mod runner;
pub mod statistics;
pub mod study;

pub use comparison::{Difference, Verdict};
pub use grid::{Cell, Grid};
pub use run::{Failure, Observer, run};
pub use runner::{Ended, Job, Watch, figures, run_all};
pub use statistics::Estimate;
pub use study::{FailedRun, Figures, Row, Study};
