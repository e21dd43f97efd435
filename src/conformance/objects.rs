//! Kubernetes objects of the recordings, read by the same code as the user's manifests.

use serde_json::Value;

use super::{NotComparable, malformed};
use crate::diagnostic::{Diagnostics, Severity};
use crate::scenario::{Catalogue, load, manifest};
use crate::units::Symbols;

/// Codes of what the program knows and does not model.
const NOT_MODELLED: [&str; 3] = ["KS0210", "KS0311", "KS0313"];

/// Reads objects; what is not modelled is refused by name.
pub(super) fn read(
    list: &[Value],
    symbols: &mut Symbols,
) -> Result<manifest::Objects, NotComparable> {
    let mut diagnostics = Diagnostics::default();
    let mut cluster = manifest::Cluster::default();
    let catalogue = Catalogue::default();
    let objects = load::load_objects_json(
        "objects",
        list,
        symbols,
        &mut cluster,
        &catalogue,
        &mut diagnostics,
    );
    let mut errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
    match errors.next() {
        None => Ok(objects),
        Some(error) if NOT_MODELLED.contains(&error.code) => {
            Err(NotComparable::NotModelled(subject(&error.message)))
        }
        Some(error) => Err(malformed(error.message.clone())),
    }
}

/// The name of what a message is about, positions in lists left out: `spec.topologySpreadConstraints`.
fn subject(message: &str) -> String {
    let quoted = message.split('`').nth(1);
    let text =
        quoted.unwrap_or_else(|| message.split(" is not modelled").next().unwrap_or(message));
    let mut name = String::new();
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ if depth == 0 => name.push(c),
            _ => {}
        }
    }
    name
}
