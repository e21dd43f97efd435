//! Recorded replicas: the rows of a CSV file `time_s,deployment,replicas`, of which one deployment is wanted.

use std::collections::BTreeSet;
use std::io::Read;

use super::trace::{Lines, RowError, milliseconds};
use crate::units::SimTime;

/// One deployment of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// Its replicas from each instant on, ascending.
    pub steps: Vec<(SimTime, u32)>,
    /// The other deployments of the file.
    pub others: BTreeSet<String>,
    /// FNV-1a of the file's bytes.
    pub digest: u64,
}

/// Reads the rows of `deployment`; the error is that of the first row that cannot be used.
pub fn read(stream: impl Read, deployment: &str) -> Result<Series, RowError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(Lines::new(stream));
    let (mut series, mut record) = (Series::default(), csv::StringRecord::new());
    let (mut line, mut last) = (1, 0);
    while reader.read_record(&mut record).map_err(|e| RowError::malformed(&e, line + 1))? {
        line = record.position().map_or(line + 1, csv::Position::line);
        let (ms, name, replicas) = row(&record).map_err(|reason| {
            let help = "a row is time_s,deployment,replicas: seconds, a name, a whole number";
            RowError { line, reason, help }
        })?;
        if ms < last {
            return Err(RowError::unsorted(line, "time_s"));
        }
        last = ms;
        if name == deployment {
            series.steps.push((SimTime::from_ms(ms), replicas));
        } else if !series.others.contains(name) {
            series.others.insert(name.to_owned());
        }
    }
    series.digest = reader.into_inner().digest();
    Ok(series)
}

/// Milliseconds, deployment, replicas.
fn row(record: &csv::StringRecord) -> Result<(i64, &str, u32), String> {
    let field = |index: usize, name: &str| {
        record.get(index).map(str::trim).ok_or_else(|| format!("it has no {name}"))
    };
    let ms = milliseconds(field(0, "time_s")?)?;
    let name = field(1, "deployment")?;
    let text = field(2, "replicas")?;
    let replicas = text.parse().ok().filter(|count| *count <= 1_000_000);
    Ok((ms, name, replicas.ok_or_else(|| format!("`{text}` is no number of replicas"))?))
}
