//! report
pub mod diagnostic;
