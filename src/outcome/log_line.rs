//! One line of a log as data, as text and as JSON.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::log::{CONDITIONS, EXPIRATION, LIFECYCLE, OWN_LOGGER, TERMINATION};
use crate::units::{ResourceVec, SimTime};

/// Severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Shown by Karpenter at log level debug only.
    Debug,
    /// Shown by default.
    Info,
    /// An error.
    Error,
}

impl Level {
    /// Karpenter's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Error => "ERROR",
        }
    }
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Text.
    Text(Arc<str>),
    /// A whole number.
    Integer(i64),
    /// An object of the API server: `{"name": ..., "namespace": ...}`.
    Object {
        /// Namespace, if it has one.
        namespace: Option<Arc<str>>,
        /// Name.
        name: Arc<str>,
    },
    /// A resource list.
    Resources(ResourceVec),
    /// A list of records.
    List(Vec<Vec<(&'static str, Field)>>),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Virtual time.
    pub at: SimTime,
    /// Severity.
    pub level: Level,
    /// The controller, or [`OWN_LOGGER`].
    pub logger: &'static str,
    /// Karpenter's message.
    pub message: &'static str,
    /// Fields in the order in which Karpenter names them.
    pub fields: Vec<(&'static str, Field)>,
}

impl LogLine {
    /// The line without its end: `2026-01-05T09:01:01.000Z INFO  provisioner  created nodeclaim NodePool=default ...`.
    pub fn text(&self, start_epoch_s: i64) -> String {
        let mut text = format!(
            "{} {:5} {}  {}",
            utc_text(start_epoch_s, self.at),
            self.level.name(),
            self.logger,
            self.message
        );
        for (key, field) in &self.fields {
            let _ = write!(text, " {key}={field}");
        }
        text
    }

    /// The line without its end as the controller prints it, one JSON object: level, time (virtual), logger, message,
    /// controller and what it reconciles, then the fields. Lines that Karpenter does not write have the logger
    /// [`OWN_LOGGER`] and no controller.
    pub fn json(&self, start_epoch_s: i64) -> String {
        let line = JsonLine { line: self, time: utc_text(start_epoch_s, self.at) };
        // Maps with text keys and no fallible values always serialize.
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// Kind and name of the object that the controller reconciles; none for controllers that run on their own.
    fn reconciled(&self) -> Option<(&'static str, &'static str, &Arc<str>)> {
        let (group, kind) = match self.logger {
            LIFECYCLE | CONDITIONS | EXPIRATION => ("karpenter.sh", "NodeClaim"),
            TERMINATION => ("", "Node"),
            _ => return None,
        };
        self.fields.iter().find_map(|(key, field)| match field {
            Field::Object { name, .. } if *key == kind => Some((group, kind, name)),
            _ => None,
        })
    }
}

struct JsonLine<'a> {
    line: &'a LogLine,
    time: String,
}

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = self.line;
        let own = line.logger == OWN_LOGGER;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("level", line.level.name())?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("logger", if own { OWN_LOGGER } else { "controller" })?;
        map.serialize_entry("message", line.message)?;
        if !own {
            map.serialize_entry("controller", line.logger)?;
            let reconciled = line.reconciled();
            if let Some((group, kind, _)) = reconciled {
                map.serialize_entry("controllerGroup", group)?;
                map.serialize_entry("controllerKind", kind)?;
            }
            map.serialize_entry("namespace", "")?;
            map.serialize_entry("name", reconciled.map_or("", |(_, _, name)| name.as_ref()))?;
        }
        for (key, field) in &line.fields {
            map.serialize_entry(key, field)?;
        }
        map.end()
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Text(text) => serializer.serialize_str(text),
            Field::Integer(value) => serializer.serialize_i64(*value),
            Field::Object { namespace, name } => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("name", name.as_ref())?;
                if let Some(namespace) = namespace {
                    map.serialize_entry("namespace", namespace.as_ref())?;
                }
                map.end()
            }
            Field::Resources(list) => {
                let mut entries: Vec<(&str, i64)> = list.iter().collect();
                entries.sort_unstable();
                let texts = entries.into_iter();
                serializer.collect_map(texts.map(|(n, a)| (n, ResourceVec::format_amount(n, a))))
            }
            Field::List(rows) => serializer.collect_seq(rows.iter().map(|row| Row(row))),
        }
    }
}

/// A record of a list.
struct Row<'a>(&'a [(&'static str, Field)]);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, field)| (key, field)))
    }
}

/// An instant in UTC with milliseconds: `2026-01-05T09:01:01.000Z`.
pub fn utc_text(start_epoch_s: i64, at: SimTime) -> String {
    let epoch_ms = start_epoch_s.saturating_mul(1_000).saturating_add(at.ms());
    match jiff::Timestamp::from_millisecond(epoch_ms) {
        Ok(instant) => format!("{instant:.3}"),
        // Beyond year 9999 only the elapsed time is left to say.
        Err(_) => at.to_string(),
    }
}

impl fmt::Display for Field {
    /// As in a line of text: bare where that is unambiguous, else as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Text(text) if is_bare(text) => f.write_str(text),
            Field::Text(text) => f.write_str(&quoted(text)),
            Field::Integer(value) => write!(f, "{value}"),
            Field::Object { namespace, name } => match namespace {
                Some(namespace) => write!(f, "{namespace}/{name}"),
                None => f.write_str(name),
            },
            Field::Resources(list) => write!(f, "{list}"),
            Field::List(rows) => {
                f.write_str("[")?;
                for (i, row) in rows.iter().enumerate() {
                    f.write_str(if i == 0 { "{" } else { ",{" })?;
                    for (j, (key, field)) in row.iter().enumerate() {
                        let comma = if j == 0 { "" } else { "," };
                        write!(f, "{comma}{}:", quoted(key))?;
                        match field {
                            Field::Text(text) => f.write_str(&quoted(text))?,
                            Field::Object { .. } => f.write_str(&quoted(&field.to_string()))?,
                            other => write!(f, "{other}")?,
                        }
                    }
                    f.write_str("}")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// True for text that needs no quotes in a line.
fn is_bare(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=');
    !text.is_empty() && text.chars().all(plain)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
