//! The input of a run: the scenario file and the manifests that it names, as plain validated data (layer 7).

pub mod file;
pub mod ron_places;
pub mod schema;
pub mod settings;
pub mod substitute;
pub mod yaml;
