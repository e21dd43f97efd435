//! Values: time, money, quantities, resources, interned text, bit sets. No domain rules and no I/O (layer 0).

pub mod bitset;
pub mod money;
pub mod quantity;
pub mod resources;
pub mod symbol;
pub mod time;

pub use bitset::BitSet;
pub use money::{Usd, UsdPerHour};
pub use resources::{Lane, ResourceVec};
pub use symbol::{LabelValue, Symbol, Symbols};
pub use time::{SimDuration, SimTime};
