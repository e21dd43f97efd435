//! Pictures of results, drawn without system fonts, clock or locale: same result, same bytes (layer
//! 8).

pub mod axis;
pub mod canvas;
pub mod catalog;
pub mod chart;
pub mod code;
pub mod comparison;
pub mod csv;
pub mod diagnostic;
pub mod disruption;
pub mod distribution;
pub mod explanation;
pub mod font;
pub mod frame;
pub mod header;
pub mod heat_map;
pub mod json;
pub mod layout;
pub mod number;
pub mod palette;
pub mod png;
pub mod raster;
#[cfg(test)]
mod samples;
pub mod signed_axis;
pub mod study;
pub mod study_picture;
pub mod sweep;
pub mod table;
pub mod tradeoff;
pub mod utilization;
