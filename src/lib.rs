//! karpsim: a dry run for Karpenter in virtual time.
pub mod cli;
pub mod units;
