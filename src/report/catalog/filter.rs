//! Which types, and in which order: `vcpu>=4,arch=arm64,family=m7g|c7g`, `-price`.

use super::Row;
use crate::diagnostic::{self, Diagnostics, SourceId, Span};
use crate::ec2::CapacityType;
use crate::ec2::catalog::{Arch, Region};
use crate::units::quantity;
use crate::units::resources::Lane;

/// A quality of a type.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in filters.
    pub name: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
    value: fn(&Row<'_>) -> Value,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    /// Written as a quantity of bytes.
    Bytes,
    Flag,
    /// A zone of the region.
    Zone,
    Capacity,
}

/// What a type has of a key; none for what is unknown or absent.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Texts(Vec<String>),
    Number(Option<f64>),
}

const fn text(name: &'static str, about: &'static str, value: fn(&Row<'_>) -> Value) -> Key {
    Key { name, about, value, kind: Kind::Text }
}

const fn number(name: &'static str, about: &'static str, value: fn(&Row<'_>) -> Value) -> Key {
    Key { name, about, value, kind: Kind::Number }
}

const fn flag(name: &'static str, about: &'static str, value: fn(&Row<'_>) -> Value) -> Key {
    Key { name, about, value, kind: Kind::Flag }
}

fn texts(value: Option<&str>) -> Value {
    Value::Texts(value.filter(|text| !text.is_empty()).into_iter().map(str::to_owned).collect())
}

fn whole(value: i64) -> Value {
    Value::Number(Some(value as f64))
}

fn yes(on: bool) -> Value {
    texts(Some(if on { "true" } else { "false" }))
}

/// The on-demand price in USD divided by some amount.
fn price_per(row: &Row<'_>, amount: f64) -> Value {
    Value::Number(row.on_demand.map(|price| price.micro_usd as f64 / 1e6 / amount))
}

/// All keys, in the order of the help.
pub const KEYS: [Key; 31] = [
    text("name", "instance type, e.g. m5.large", |row| texts(Some(&row.facts.name))),
    text("family", "e.g. m5, c7i-flex", |row| texts(Some(row.facts.family()))),
    text("size", "e.g. large", |row| texts(Some(row.facts.size()))),
    text("category", "e.g. m, c, r", |row| {
        texts(row.facts.category_and_generation().map(|(category, _)| category))
    }),
    number("generation", "e.g. 7", |row| {
        let generation = row.facts.category_and_generation().map(|(_, generation)| generation);
        Value::Number(generation.and_then(|digits| digits.parse().ok()))
    }),
    text("arch", "amd64 or arm64", |row| texts(row.facts.arch.map(Arch::name))),
    text("cpu", "intel, amd or aws", |row| texts(Some(&row.facts.cpu_manufacturer))),
    text("hypervisor", "nitro or xen; none for bare metal", |row| {
        texts(Some(&row.facts.hypervisor))
    }),
    number("vcpu", "vCPUs", |row| whole(row.facts.vcpus)),
    Key {
        name: "memory",
        about: "memory as EC2 sells it, e.g. 16Gi",
        value: |row| whole(row.facts.memory_mib << 20),
        kind: Kind::Bytes,
    },
    number("mhz", "sustained clock in MHz", |row| whole(row.facts.cpu_mhz)),
    number("network", "baseline bandwidth in Mbps", |row| {
        Value::Number(row.facts.network_mbps.map(|mbps| mbps as f64))
    }),
    number("ebs", "EBS bandwidth in Mbps", |row| {
        Value::Number(row.facts.ebs_mbps.map(|mbps| mbps as f64))
    }),
    number("storage", "instance store in GB", |row| whole(row.facts.local_storage_gb)),
    number("gpu", "GPUs", |row| whole(row.facts.gpu.as_ref().map_or(0, |gpu| gpu.count))),
    text("gpu-name", "e.g. a10g, l4", |row| {
        texts(row.facts.gpu.as_ref().map(|gpu| gpu.name.as_str()))
    }),
    text("accelerator", "e.g. inferentia2, trainium", |row| {
        texts(row.facts.accelerator.as_ref().map(|device| device.name.as_str()))
    }),
    number("pods", "most pods of a node", |row| whole(row.allocatable.lane(Lane::Pods))),
    number("price", "on-demand, USD per hour", |row| price_per(row, 1.0)),
    number("price-per-vcpu", "on-demand, USD per vCPU and hour", |row| {
        price_per(row, row.facts.vcpus as f64)
    }),
    number("price-per-gib", "on-demand, USD per GiB of memory and hour", |row| {
        price_per(row, row.facts.memory_mib as f64 / 1024.0)
    }),
    number("spot", "lowest spot price, USD per hour", |row| {
        Value::Number(row.spot.map(|price| price.micro_usd as f64 / 1e6))
    }),
    number("saving", "spot below on-demand, per cent", |row| Value::Number(row.saving_percent())),
    Key {
        name: "zone",
        about: "a zone that offers it, e.g. us-east-1a",
        value: |row| Value::Texts(row.zones.iter().map(|zone| (*zone).to_owned()).collect()),
        kind: Kind::Zone,
    },
    Key { name: "capacity", about: "on-demand or spot", value: capacity, kind: Kind::Capacity },
    flag("metal", "bare metal", |row| yes(row.facts.bare_metal)),
    flag("burstable", "with CPU credits", |row| yes(row.facts.burstable)),
    flag("flex", "a flex type", |row| yes(row.facts.is_flex())),
    flag("current", "of the current generation", |row| yes(row.facts.current_generation)),
    flag("nvme", "with an NVMe instance store", |row| yes(row.facts.local_nvme)),
    flag("encryption", "encrypts traffic between instances", |row| {
        yes(row.facts.encryption_in_transit)
    }),
];

fn capacity(row: &Row<'_>) -> Value {
    let sold = [
        (CapacityType::OnDemand, row.on_demand.is_some()),
        (CapacityType::Spot, row.spot.is_some()),
    ];
    let sold = sold.into_iter().filter(|(_, sold)| *sold);
    Value::Texts(sold.map(|(how, _)| how.name().to_owned()).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Is,
    IsNot,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// As written, longer ones first.
const COMPARISONS: [(&str, Comparison); 6] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    ("!=", Comparison::IsNot),
    ("=", Comparison::Is),
    (">", Comparison::Above),
    ("<", Comparison::Below),
];

#[derive(Clone, Debug)]
struct Term {
    key: &'static Key,
    comparison: Comparison,
    /// Alternatives.
    wanted: Vec<Wanted>,
}

#[derive(Clone, Debug)]
enum Wanted {
    Text(String),
    /// A text that starts like this.
    Start(String),
    Number(f64),
}

/// What a type must be: all terms at once.
#[derive(Clone, Debug, Default)]
pub struct Filter(Vec<Term>);

impl Filter {
    /// Reads `KEY OP VALUE` terms between commas; `OP` is one of `= != >= <= > <`; `|` stands between alternatives of
    /// `=` and `!=`; a text may end in `*`; a flag may stand alone or after `!`. Every problem is reported; `None` when
    /// there is any.
    pub fn parse(
        source: SourceId,
        region: &Region,
        diagnostics: &mut Diagnostics,
    ) -> Option<Filter> {
        let expression = diagnostics.sources.get(source).text.clone();
        let mut terms = Vec::new();
        let mut valid = true;
        let mut start = 0;
        for written in expression.split(',') {
            let place = Place { source, start, written };
            start += written.len() + 1;
            if written.trim().is_empty() {
                continue;
            }
            match place.term(region) {
                Ok(term) => terms.push(term),
                Err(problem) => {
                    diagnostics.push(*problem);
                    valid = false;
                }
            }
        }
        valid.then_some(Filter(terms))
    }

    /// True iff the row is wanted. What is unknown or absent satisfies `!=` only.
    pub fn admits(&self, row: &Row<'_>) -> bool {
        self.0.iter().all(|term| term.admits(&(term.key.value)(row)))
    }
}

impl Term {
    fn admits(&self, value: &Value) -> bool {
        let any = self.wanted.iter().any(|wanted| match (value, wanted) {
            (Value::Texts(has), Wanted::Text(text)) => has.contains(text),
            (Value::Texts(has), Wanted::Start(start)) => has.iter().any(|t| t.starts_with(start)),
            (Value::Number(Some(has)), Wanted::Number(number)) => match self.comparison {
                Comparison::Is | Comparison::IsNot => has == number,
                Comparison::AtLeast => has >= number,
                Comparison::AtMost => has <= number,
                Comparison::Above => has > number,
                Comparison::Below => has < number,
            },
            _ => false,
        });
        any != (self.comparison == Comparison::IsNot)
    }
}

/// A term as it is written, with the byte at which it starts.
struct Place<'t> {
    source: SourceId,
    start: usize,
    written: &'t str,
}

type Problem = Box<diagnostic::Diagnostic>;

impl Place<'_> {
    /// The place of a part of the term.
    fn span(&self, part: &str) -> Span {
        self.span_at(part, self.written.find(part))
    }

    fn span_at(&self, part: &str, offset: Option<usize>) -> Span {
        let offset = offset.unwrap_or(0);
        let start = self.start + offset;
        Span { source: self.source, start, end: start + part.len() }
    }

    fn term(&self, region: &Region) -> Result<Term, Problem> {
        let written = self.written.trim();
        let at = written.find(['=', '!', '<', '>']).unwrap_or(written.len());
        let (name, rest) = written.split_at(at);
        let operator = COMPARISONS.iter().find(|(text, _)| rest.starts_with(text));
        let Some((text, comparison)) = operator else {
            let (name, on) = match written.strip_prefix('!') {
                Some(name) => (name.trim(), "false"),
                None => (written, "true"),
            };
            let key = self.key(name)?;
            if key.kind != Kind::Flag {
                let rule = format!("`{name}` needs a comparison, such as {name}=VALUE");
                return Err(Box::new(diagnostic::bad_filter(self.span(written), written, &rule)));
            }
            let wanted = vec![Wanted::Text(on.to_owned())];
            return Ok(Term { key, comparison: Comparison::Is, wanted });
        };
        let key = self.key(name.trim())?;
        let values = rest[text.len()..].trim();
        let ordered = matches!(key.kind, Kind::Number | Kind::Bytes);
        if !ordered && !matches!(comparison, Comparison::Is | Comparison::IsNot) {
            let rule = format!("`{}` can only be compared with = and !=", key.name);
            return Err(Box::new(diagnostic::bad_filter(self.span(written), written, &rule)));
        }
        let wanted = values.split('|').map(|value| self.wanted(key, value.trim(), region));
        Ok(Term { key, comparison: *comparison, wanted: wanted.collect::<Result<_, _>>()? })
    }

    fn key(&self, name: &str) -> Result<&'static Key, Problem> {
        key(name).ok_or_else(|| unknown_key(self.span(name), name))
    }

    fn wanted(&self, key: &Key, value: &str, region: &Region) -> Result<Wanted, Problem> {
        let bad = |rule: &str| {
            // Values stand last.
            let place = self.span_at(value, self.written.rfind(value));
            let problem = diagnostic::bad_filter(place, self.written.trim(), rule);
            Box::new(problem)
        };
        let known = |names: &[&str], rule: &str| match names.contains(&value) {
            true => Ok(Wanted::Text(value.to_owned())),
            false => Err(Box::new(bad(rule).suggest(value, names.iter().copied()))),
        };
        match key.kind {
            _ if value.is_empty() => Err(bad("a value is missing")),
            Kind::Number => {
                let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
                number.map(Wanted::Number).ok_or_else(|| bad(&format!("`{value}` is no number")))
            }
            Kind::Bytes => {
                let units = value.ends_with(|c: char| c.is_ascii_alphabetic());
                let bytes = quantity::parse_units(value).filter(|_| units);
                let rule = format!("`{value}` is no amount with a unit, such as 16Gi");
                bytes.map(|bytes| Wanted::Number(bytes as f64)).ok_or_else(|| bad(&rule))
            }
            Kind::Flag => known(&["true", "false"], "a flag is true or false"),
            Kind::Capacity => known(&["on-demand", "spot"], "the capacity is on-demand or spot"),
            Kind::Zone => {
                let zones: Vec<&str> = region.zones.iter().map(|zone| zone.name.as_str()).collect();
                let rule = format!("`{value}` is no zone of {}", region.name);
                known(&zones, &rule)
            }
            Kind::Text => Ok(match value.strip_suffix('*') {
                Some(start) => Wanted::Start(start.to_owned()),
                None => Wanted::Text(value.to_owned()),
            }),
        }
    }
}

fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn unknown_key(span: Span, name: &str) -> Problem {
    let names = KEYS.iter().map(|key| key.name);
    let list = names.clone().collect::<Vec<_>>().join(", ");
    let problem = diagnostic::unknown_catalog_key(span, name).help(format!("the keys are {list}"));
    Box::new(problem.suggest(name, names))
}

/// In which order types are listed.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    key: &'static Key,
    descending: bool,
}

impl Default for Order {
    /// By name.
    fn default() -> Order {
        Order { key: &KEYS[0], descending: false }
    }
}

impl Order {
    /// Reads a key, descending after `-`. A problem is reported.
    pub fn parse(source: SourceId, diagnostics: &mut Diagnostics) -> Option<Order> {
        let text = diagnostics.sources.get(source).text.clone();
        let name = text.strip_prefix('-').unwrap_or(&text);
        let descending = name.len() < text.len();
        match key(name) {
            Some(key) => Some(Order { key, descending }),
            None => {
                let span = Span { source, start: text.len() - name.len(), end: text.len() };
                diagnostics.push(*unknown_key(span, name));
                None
            }
        }
    }

    /// Sorts rows; those without a value stand last, equals by name.
    pub fn sort(&self, rows: &mut [Row<'_>]) {
        rows.sort_by(|a, b| {
            let (left, right) = ((self.key.value)(a), (self.key.value)(b));
            let by_value = match (missing(&left), missing(&right)) {
                (false, false) if self.descending => compare(&right, &left),
                (false, false) => compare(&left, &right),
                (left, right) => left.cmp(&right),
            };
            by_value.then_with(|| a.facts.name.cmp(&b.facts.name))
        });
    }
}

fn missing(value: &Value) -> bool {
    match value {
        Value::Texts(texts) => texts.is_empty(),
        Value::Number(number) => number.is_none(),
    }
}

fn compare(left: &Value, right: &Value) -> std::cmp::Ordering {
    match (left, right) {
        (Value::Number(Some(left)), Value::Number(Some(right))) => left.total_cmp(right),
        (Value::Texts(left), Value::Texts(right)) => left.cmp(right),
        _ => std::cmp::Ordering::Equal,
    }
}
