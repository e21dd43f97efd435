//! The input of a run: the scenario file and the manifests that it names, as plain validated data (layer 7).

pub mod substitute;
pub mod yaml;
