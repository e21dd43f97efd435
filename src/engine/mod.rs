//! The discrete-event kernel: event list, virtual clock, keyed randomness, run digests (layer 1).
//!
//! It knows neither nodes nor pods. Four guarantees rest on it: events leave in one total order
//! (time, class, sequence), time never runs backwards, a random draw depends on what it is *for*
//! and never on what was drawn before, and two equal runs have equal digests.

pub mod clock;
pub mod digest;
pub mod distribution;
pub mod queue;
pub mod random;

pub use clock::Clock;
pub use digest::Digest;
pub use distribution::Distribution;
pub use queue::{EventQueue, Timer};
pub use random::{Purpose, Streams};
