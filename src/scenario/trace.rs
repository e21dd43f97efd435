//! Pod traces: the rows of a CSV file in the common format, checked one by one.

use std::collections::BTreeMap;

use crate::units::{SimDuration, SimTime};

/// Longest time in a file: ten years.
const MOST_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;
/// Columns that change nothing here when they are filled, and columns that nobody reads.
const NOT_MODELLED: [&str; 2] = ["gpu_model", "max_per_node"];

/// A line number with what is wrong with the line.
pub type RowError = (u64, String);

/// A recorded pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// When it arrives.
    pub at: SimTime,
    /// How long it runs or lives; for ever if none.
    pub duration: Option<SimDuration>,
    /// It lives until arrival and duration are over, whether it runs or not.
    pub service: bool,
    /// What it is like.
    pub shape: Shape,
}

/// What pods of a trace may share.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Owner.
    pub group: String,
    /// Milli-CPU.
    pub cpu_milli: u64,
    /// MiB of memory.
    pub memory_mib: u64,
    /// MiB of ephemeral storage.
    pub ephemeral_mib: u64,
    /// Whole GPUs.
    pub gpus: u64,
    /// `key=value` pairs separated by `;`.
    pub selector: String,
    /// Priority.
    pub priority: i32,
}

/// A trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Pods, ascending by instant.
    pub rows: Vec<Row>,
    /// What some rows say that is not modelled, each once.
    pub not_modelled: Vec<&'static str>,
}

/// Reads a trace; the error is that of the first row that cannot be used.
pub fn read(text: &str) -> Result<Trace, RowError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| (1, error.to_string()))?.clone();
    let columns: BTreeMap<&str, usize> =
        headers.iter().enumerate().map(|(i, name)| (name.trim(), i)).collect();
    for needed in ["pod_name", "arrival_s", "cpu_milli", "memory_mib"] {
        if !columns.contains_key(needed) {
            return Err((1, format!("it has no column `{needed}`")));
        }
    }
    let mut trace = Trace::default();
    for record in reader.records() {
        let record = record.map_err(|error| {
            (error.position().map_or(1, csv::Position::line), error.to_string())
        })?;
        let line = record.position().map_or(1, csv::Position::line);
        let field =
            |name: &str| columns.get(name).and_then(|i| record.get(*i)).unwrap_or("").trim();
        let row = row(&field).map_err(|reason| (line, reason))?;
        if trace.rows.last().is_some_and(|last| last.at > row.at) {
            return Err((line, "it is earlier than the row before it".to_owned()));
        }
        note_what_is_not_modelled(&field, &mut trace.not_modelled);
        trace.rows.push(row);
    }
    Ok(trace)
}

fn note_what_is_not_modelled<'r>(field: &dyn Fn(&str) -> &'r str, noted: &mut Vec<&'static str>) {
    let mut note = |what: &'static str, applies: bool| {
        if applies && !noted.contains(&what) {
            noted.push(what);
        }
    };
    for column in NOT_MODELLED {
        note(column, !field(column).is_empty());
    }
    let shared = field("gpu_milli").parse::<u64>().is_ok_and(|milli| (1..1_000).contains(&milli));
    note("gpu_milli (a shared GPU counts as a whole one)", shared && field("gpu_count") == "1");
    note("preexisting (those pods are pending at the start)", field("preexisting") == "1");
}

fn row<'r>(field: &dyn Fn(&str) -> &'r str) -> Result<Row, String> {
    let count = |name: &str| match field(name) {
        "" => Ok(0),
        text => text
            .parse::<u64>()
            .ok()
            .filter(|n| *n <= 1 << 40)
            .ok_or(format!("`{text}` is no {name}: it must be a whole number")),
    };
    let name = field("pod_name");
    if name.is_empty() {
        return Err("it has no pod_name".to_owned());
    }
    let service = match field("kind") {
        "" | "job" => false,
        "service" => true,
        other => return Err(format!("`{other}` is no kind: job or service")),
    };
    let duration = match field("duration_s") {
        "" => None,
        text => Some(SimDuration::from_ms(milliseconds(text)?)),
    };
    let priority = match field("priority") {
        "" => 0,
        text => text.parse().map_err(|_| format!("`{text}` is no priority"))?,
    };
    Ok(Row {
        name: name.to_owned(),
        at: SimTime::from_ms(milliseconds(field("arrival_s"))?),
        duration,
        service,
        shape: Shape {
            group: field("group").to_owned(),
            cpu_milli: count("cpu_milli")?,
            memory_mib: count("memory_mib")?,
            ephemeral_mib: count("ephemeral_mib")?,
            gpus: count("gpu_count")?,
            selector: field("node_selector").to_owned(),
            priority,
        },
    })
}

/// Decimal seconds as milliseconds.
pub fn milliseconds(text: &str) -> Result<i64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    match seconds {
        Some(s) if (0.0..=MOST_SECONDS).contains(&s) => Ok(libm::round(s * 1_000.0) as i64),
        Some(_) => Err(format!("`{text}` seconds are not within ten years")),
        None => Err(format!("`{text}` is no number of seconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "pod_name,group,kind,preexisting,arrival_s,duration_s,cpu_milli,memory_mib,gpu_count,extra\n";

    fn reading(rows: &str) -> Result<Trace, RowError> {
        read(&format!("{HEAD}{rows}"))
    }

    #[test]
    fn rows_are_read_with_their_defaults() {
        let trace = reading("a,g,job,0,0,12.5,500,0,1,x\nb,,service,1,3,,0,64,,\n").expect("rows");
        assert_eq!(trace.rows[0].duration, Some(SimDuration::from_ms(12_500)));
        assert_eq!((trace.rows[0].shape.gpus, trace.rows[0].service), (1, false));
        assert_eq!((trace.rows[1].duration, trace.rows[1].service), (None, true));
        assert_eq!(trace.not_modelled, ["preexisting (those pods are pending at the start)"]);
    }

    #[test]
    fn bad_rows_have_their_line() {
        for (rows, line, reason) in [
            ("a,g,job,0,x,1,1,1,,\n", 2, "`x` is no number of seconds"),
            (
                "a,g,job,0,0,1,1,1,,\nb,g,job,0,1,1000000000,1,1,,\n",
                3,
                "`1000000000` seconds are not within ten years",
            ),
            (
                "a,g,job,0,9,1,1,1,,\nb,g,job,0,8,1,1,1,,\n",
                3,
                "it is earlier than the row before it",
            ),
            ("a,g,cron,0,0,1,1,1,,\n", 2, "`cron` is no kind: job or service"),
            ("a,g,job,0,0,1,-1,1,,\n", 2, "`-1` is no cpu_milli: it must be a whole number"),
            (",g,job,0,0,1,1,1,,\n", 2, "it has no pod_name"),
        ] {
            assert_eq!(reading(rows).map(|_| ()), Err((line, reason.to_owned())));
        }
        let missing = read("pod_name,arrival_s\n").map(|_| ());
        assert_eq!(missing, Err((1, "it has no column `cpu_milli`".to_owned())));
    }
}
