//! Pod traces: the rows of a CSV file in the common format, read one by one and never all held.
//!
//! A trace is gone through once before the run, to check every row and to make the class of each kind of pod, and once
//! in each run, a row ahead of the clock.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use super::load::Stored;
use crate::kube::PodClass;
use crate::simulation::{Recording, RowSource, Term, TraceRow};
use crate::units::{SimDuration, SimTime};

/// Longest time in a file: ten years.
const MOST_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;
/// Bytes of a row at most: what has longer lines is no trace.
const MOST_ROW_BYTES: usize = 1 << 16;
/// Columns that are read.
const READ: [&str; 11] = [
    "pod_name",
    "group",
    "kind",
    "arrival_s",
    "duration_s",
    "cpu_milli",
    "memory_mib",
    "ephemeral_mib",
    "gpu_count",
    "node_selector",
    "priority",
];
/// Columns that say nothing about where and when a pod runs.
const INFORMATIVE: [&str; 2] = ["qos", "phase"];

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Its line, from 1.
    pub line: u64,
    /// What.
    pub reason: String,
    /// What to do.
    pub help: &'static str,
}

/// What is wrong with a field: the reason, and what to do.
struct Fault(String, &'static str);

impl From<String> for Fault {
    fn from(reason: String) -> Fault {
        Fault(
            reason,
            "instants and durations are decimal seconds, requests and priorities whole numbers",
        )
    }
}

impl RowError {
    fn new(line: u64, fault: impl Into<Fault>) -> RowError {
        let Fault(reason, help) = fault.into();
        RowError { line, reason, help }
    }

    /// The row is earlier than the one before it.
    pub fn unsorted(line: u64, column: &'static str) -> RowError {
        let help = match column {
            "arrival_s" => "sort the rows by arrival_s",
            _ => "sort the rows by time_s",
        };
        RowError { line, reason: "it is earlier than the row before it".to_owned(), help }
    }

    /// A row that is no CSV.
    pub fn malformed(error: &csv::Error, line: u64) -> RowError {
        let line = error.position().map_or(line, csv::Position::line);
        let reason = match error.kind() {
            csv::ErrorKind::Io(error) => error.to_string(),
            csv::ErrorKind::Utf8 { .. } => "it is no UTF-8 text".to_owned(),
            _ => error.to_string(),
        };
        RowError { line, reason, help: "a trace is a CSV file with one row a pod" }
    }
}

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

impl Row {
    fn term(&self) -> Term {
        match (self.duration, self.service) {
            (None, _) => Term::Endless,
            (Some(span), false) => Term::RunsFor(span),
            (Some(span), true) => Term::EndsAt(self.at + span),
        }
    }
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

/// What a trace comes to that was gone through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// Its pods.
    pub rows: u64,
    /// Every kind of pod, in the order of the first of each.
    pub shapes: Vec<Shape>,
    /// What some rows say that is not modelled, each once.
    pub not_modelled: Vec<String>,
    /// The first name that stands twice.
    pub repeated: Option<Repeated>,
    /// FNV-1a of its bytes.
    pub digest: u64,
}

/// Two pods of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// The name.
    pub name: String,
    /// The line of the first.
    pub first: u64,
    /// The line of the second.
    pub line: u64,
}

/// Goes through a trace; the error is that of the first row that cannot be used.
pub fn check(stream: impl Read) -> Result<Checked, RowError> {
    let mut rows = Rows::new(Lines::new(stream))?;
    let mut checked = Checked { not_modelled: rows.columns.unknown(), ..Checked::default() };
    let mut known: BTreeMap<Shape, ()> = BTreeMap::new();
    // Digests of names instead of names: of a long trace no more is held, some 50 bytes a row until it is checked.
    let mut lines: BTreeMap<u128, u64> = BTreeMap::new();
    while let Some(row) = rows.read()? {
        checked.rows += 1;
        let first = lines.insert(name_digest(&row.name), rows.line);
        if let Some(first) = first.filter(|_| checked.repeated.is_none()) {
            checked.repeated = Some(Repeated { name: row.name, first, line: rows.line });
        }
        rows.columns.note(&rows.record, &mut checked.not_modelled);
        if !known.contains_key(&row.shape) {
            known.insert(row.shape.clone(), ());
            checked.shapes.push(row.shape);
        }
    }
    checked.digest = rows.reader.into_inner().digest();
    Ok(checked)
}

/// FNV-1a, 128 bits: two names of one digest are not met with.
fn name_digest(name: &str) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    name.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

/// A trace with the classes of its pods, for runs.
#[derive(Debug)]
pub struct TraceFile {
    /// The file.
    pub file: Arc<dyn Stored>,
    /// The class of each kind of pod.
    pub classes: BTreeMap<Shape, Arc<PodClass>>,
}

impl Recording for TraceFile {
    fn open(self: Arc<Self>) -> Box<dyn RowSource> {
        let rows = self.file.open().map_err(|reason| RowError::new(1, reason));
        let rows = rows.and_then(|stream| Rows::new(Lines::new(stream)));
        Box::new(Opened { trace: self, rows: Some(rows) })
    }
}

/// A trace that a run goes through.
struct Opened {
    trace: Arc<TraceFile>,
    /// None behind the last row, and behind a row that cannot be used.
    rows: Option<Result<Rows<Box<dyn Read + Send>>, RowError>>,
}

impl RowSource for Opened {
    fn next(&mut self) -> Result<Option<TraceRow>, String> {
        let found = match &mut self.rows {
            None => return Ok(None),
            Some(Ok(rows)) => rows.read(),
            Some(Err(error)) => Err(error.clone()),
        };
        // What was checked before the run fails only if the file was changed since.
        let changed = |line: u64, reason: &str| format!("line {line} of the trace: {reason}");
        let row = match found {
            Ok(Some(row)) => row,
            end => {
                self.rows = None;
                return end.map(|_| None).map_err(|error| changed(error.line, &error.reason));
            }
        };
        let Some(class) = self.trace.classes.get(&row.shape).cloned() else {
            return Err(changed(0, "a pod that was not there when the trace was checked"));
        };
        let term = row.term();
        Ok(Some(TraceRow { at: row.at, name: row.name.into(), class, term }))
    }
}

/// The bytes of a text file on their way: hashed, and with an end to what could be endless.
pub struct Lines<R> {
    stream: R,
    hash: u64,
    since_newline: usize,
}

impl<R: Read> Lines<R> {
    /// All bytes of a stream.
    pub fn new(stream: R) -> Lines<R> {
        Lines { stream, hash: 0xcbf2_9ce4_8422_2325, since_newline: 0 }
    }

    /// FNV-1a, 64 bits, of the bytes so far.
    pub fn digest(&self) -> u64 {
        self.hash
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(buffer)?;
        for byte in &buffer[..count] {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            self.since_newline = if *byte == b'\n' { 0 } else { self.since_newline + 1 };
            let is_text = !byte.is_ascii_control() || b"\t\n\r".contains(byte);
            if !is_text || self.since_newline > MOST_ROW_BYTES {
                let reason = match is_text {
                    true => "its lines are longer than any row",
                    false => "it holds control characters, so it is no text",
                };
                return Err(std::io::Error::other(reason));
            }
        }
        Ok(count)
    }
}

/// Rows one after another, ascending by instant.
struct Rows<R> {
    reader: csv::Reader<Lines<R>>,
    columns: Columns,
    record: csv::StringRecord,
    last: SimTime,
    line: u64,
}

impl<R: Read> Rows<R> {
    fn new(lines: Lines<R>) -> Result<Rows<R>, RowError> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(lines);
        let headers = reader.headers().map_err(|error| RowError::malformed(&error, 1))?;
        let columns = Columns::new(headers)?;
        let (record, last) = (csv::StringRecord::new(), SimTime::ZERO);
        Ok(Rows { reader, columns, record, last, line: 1 })
    }

    fn read(&mut self) -> Result<Option<Row>, RowError> {
        let read = self.reader.read_record(&mut self.record);
        if !read.map_err(|error| RowError::malformed(&error, self.line + 1))? {
            return Ok(None);
        }
        self.line = self.record.position().map_or(self.line + 1, csv::Position::line);
        let field = |name: &str| self.columns.field(&self.record, name);
        let row = row(&field).map_err(|fault| RowError::new(self.line, fault))?;
        if row.at < self.last {
            return Err(RowError::unsorted(self.line, "arrival_s"));
        }
        self.last = row.at;
        Ok(Some(row))
    }
}

/// Where each column stands.
struct Columns {
    names: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Columns {
    fn new(headers: &csv::StringRecord) -> Result<Columns, RowError> {
        let names: Vec<String> = headers.iter().map(|name| name.trim().to_owned()).collect();
        let places: BTreeMap<String, usize> =
            names.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect();
        for needed in ["pod_name", "arrival_s", "cpu_milli", "memory_mib"] {
            if !places.contains_key(needed) {
                let help = "the first line names the columns: pod_name, arrival_s, cpu_milli, memory_mib and others";
                return Err(RowError {
                    line: 1,
                    reason: format!("it has no column `{needed}`"),
                    help,
                });
            }
        }
        Ok(Columns { names, places })
    }

    fn field<'r>(&self, record: &'r csv::StringRecord, name: &str) -> &'r str {
        self.places.get(name).and_then(|i| record.get(*i)).unwrap_or("").trim()
    }

    /// Columns that nobody knows.
    fn unknown(&self) -> Vec<String> {
        const NOTED: [&str; 4] = ["gpu_model", "max_per_node", "gpu_milli", "preexisting"];
        let known = |name: &&String| {
            let name = name.as_str();
            name.is_empty()
                || [READ.as_slice(), &INFORMATIVE, &NOTED].iter().any(|list| list.contains(&name))
        };
        let unknown = self.names.iter().filter(|name| !known(name));
        unknown.map(|name| format!("{name} (unknown)")).collect()
    }

    /// Notes what a row says that is not modelled.
    fn note(&self, record: &csv::StringRecord, noted: &mut Vec<String>) {
        let field = |name: &str| self.field(record, name);
        let mut note = |what: &str, applies: bool| {
            if applies && !noted.iter().any(|known| known == what) {
                noted.push(what.to_owned());
            }
        };
        note("gpu_model", !field("gpu_model").is_empty());
        note("max_per_node", !field("max_per_node").is_empty());
        let shared = field("gpu_milli").parse::<u64>().is_ok_and(|m| (1..1_000).contains(&m));
        let shared = shared && field("gpu_count") == "1";
        note("gpu_milli (a shared GPU counts as a whole one)", shared);
        let present = field("preexisting") == "1";
        note("preexisting (those pods are pending at the start)", present);
    }
}

fn row<'r>(field: &dyn Fn(&str) -> &'r str) -> Result<Row, Fault> {
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
        return Err("it has no pod_name".to_owned().into());
    }
    let service = match field("kind") {
        "" | "job" => false,
        "service" => true,
        other => {
            let help = "a job runs for duration_s once it started, a service lives for duration_s";
            return Err(Fault(format!("`{other}` is no kind: job or service"), help));
        }
    };
    let duration = match field("duration_s") {
        "" => None,
        text => {
            let help = "leave duration_s empty for a pod that outlives the trace";
            let ms = milliseconds(text).map_err(|reason| Fault(reason, help))?;
            Some(SimDuration::from_ms(ms))
        }
    };
    let at = SimTime::from_ms(milliseconds(field("arrival_s"))?);
    if field("preexisting") == "1" && at > SimTime::ZERO {
        return Err("a pod with preexisting=1 arrives at 0".to_owned().into());
    }
    let priority = match field("priority") {
        "" => 0,
        text => text.parse().map_err(|_| format!("`{text}` is no priority"))?,
    };
    Ok(Row {
        name: name.to_owned(),
        at,
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

    fn reading(rows: &str) -> Result<Vec<Row>, RowError> {
        let text = format!("{HEAD}{rows}");
        check(text.as_bytes())?;
        let mut rows = Rows::new(Lines::new(text.as_bytes()))?;
        std::iter::from_fn(|| rows.read().transpose()).collect()
    }

    #[test]
    fn rows_are_read_with_their_defaults() {
        let text = "a,g,job,0,0,12.5,500,0,1,x\nb,,service,1,0,,0,64,,\n\"c,d\",g,,,3,1,500,0,1,\n";
        let rows = reading(text).expect("rows");
        assert_eq!(rows[0].term(), Term::RunsFor(SimDuration::from_ms(12_500)));
        assert_eq!((rows[0].shape.gpus, rows[0].service), (1, false));
        assert_eq!((rows[1].term(), rows[1].service), (Term::Endless, true));
        assert_eq!((rows[2].name.as_str(), rows[2].at), ("c,d", SimTime::from_seconds(3)));
        let checked = check(format!("{HEAD}{text}").as_bytes()).expect("rows");
        assert_eq!((checked.rows, checked.shapes.len()), (3, 2));
        let noted = ["extra (unknown)", "preexisting (those pods are pending at the start)"];
        assert_eq!(checked.not_modelled, noted);
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
            ("a,g,job,1,5,1,1,1,,\n", 2, "a pod with preexisting=1 arrives at 0"),
        ] {
            let error = reading(rows).expect_err(reason);
            assert_eq!((error.line, error.reason.as_str()), (line, reason));
            assert!(!error.help.is_empty());
        }
        let error = check(&b"pod_name,arrival_s\n"[..]).expect_err("a column is missing");
        assert_eq!((error.line, error.reason.as_str()), (1, "it has no column `cpu_milli`"));
    }

    #[test]
    fn the_first_name_that_stands_twice_is_told_with_both_lines() {
        let rows =
            "a,g,job,0,0,1,1,1,,\nb,g,job,0,1,1,1,1,,\nb,g,job,0,2,1,1,1,,\na,g,job,0,3,1,1,1,,\n";
        let checked = check(format!("{HEAD}{rows}").as_bytes()).expect("rows");
        let repeated = Repeated { name: "b".to_owned(), first: 3, line: 4 };
        assert_eq!((checked.rows, checked.repeated), (4, Some(repeated)));
        // The published value for one byte.
        assert_eq!(name_digest("a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn what_is_no_text_ends_at_once() {
        for byte in [0, b'x', b','] {
            let endless = std::io::repeat(byte);
            assert!(check(endless).is_err(), "{byte}");
        }
        let broken = [HEAD.as_bytes(), b"a\xff,g,job,0,0,1,1,1,,\n"].concat();
        let error = check(broken.as_slice()).expect_err("no UTF-8");
        assert_eq!((error.line, error.reason.as_str()), (2, "it is no UTF-8 text"));
    }

    #[test]
    fn the_digest_is_that_of_every_byte() {
        let digest = |text: &str| check(text.as_bytes()).expect("rows").digest;
        let one = format!("{HEAD}a,g,job,0,0,1,1,1,,\n");
        assert_ne!(digest(&one), digest(&one.replace("0,1,1,1", "0,2,1,1")));
        assert_eq!(digest(&one), digest(&one));
    }
}
