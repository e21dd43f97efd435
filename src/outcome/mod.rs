//! What a run comes to: folded from the journal's facts alone, never from the world (layer 6).
//!
//! [`Recorder`] folds fact by fact into a [`RunResult`]; [`Narrator`] turns the same facts into Karpenter's log lines.
//! Sums are integers and exact; every division is rounded once, where it becomes text.

pub mod allocation;
pub mod chronicle;
pub mod ledger;
pub mod log;
pub mod log_line;
pub mod recorder;
pub mod result;
#[cfg(test)]
pub mod sample;
pub mod series;
pub mod story;
pub mod summary;

pub use allocation::{Allocation, Breakdown, by_namespace};
pub use chronicle::{Chronicle, CommandEnd, CommandStory, Subject};
pub use ledger::{By, Entry, Ledger, Share};
pub use log::Narrator;
pub use log_line::{Field, Level, LogLine};
pub use recorder::Recorder;
pub use result::{Counts, Disruption, End, FallenShort, Header, LeftPending, RunResult};
pub use series::{Series, Steps};
pub use story::{Entry as StoryEntry, Happening, Placed, Story, Verdict};
pub use summary::{Better, Decimal, Distribution, Metric, Summary, Unit};
