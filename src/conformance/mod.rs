//! Recorded behaviour of Karpenter v1.14.1, replayed through the program's own controllers (layer 8). There is no
//! second implementation for the recordings: a recorded timeline becomes a [`crate::simulation::Config`] with the
//! world's rules that the recording states, and what the run writes into its journal is compared with what was
//! recorded.

pub mod timeline;
mod timeline_events;

pub use timeline::{Comparison, Difference, NotComparable, compare};
