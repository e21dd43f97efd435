//! Pictures of results, drawn without system fonts, clock or locale: same result, same bytes (layer 8).

pub mod axis;
pub mod canvas;
pub mod font;
pub mod palette;
