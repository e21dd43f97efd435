//! The discrete-event kernel (layer 1): event queue, virtual clock, keyed random draws, distributions, digests. It knows no
//! Kubernetes.

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
