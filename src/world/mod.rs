//! All mutable state of one run (layer 3).

pub mod journal;
