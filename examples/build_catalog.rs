//! Writes the embedded EC2 catalogue from a folder of CSV tables:
//!
//! `cargo run --example build_catalog -- FOLDER src/scenario/catalog/ec2.txt.gz`
//!
//! The form of the file and what each word in it means stand in `karpsim::scenario::catalog`. The same tables give the
//! same bytes. Every cell is checked; types that prices name but the table of types does not are left out and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use karpsim::ec2::catalog::PriceBasis;
use karpsim::scenario::catalog::{FORM, TYPE_FIELDS};

/// The month of the newest price list: Karpenter's own of us-east-1.
const DATE: &str = "2026-07";

const SOURCES: [&str; 7] = [
    "instance types: DescribeInstanceTypes as recorded in moto 5.2.5 (2026-10-27)",
    "branch interfaces: karpenter-provider-aws zz_generated.vpclimits.go (2026-08-06)",
    "network bandwidth: karpenter-provider-aws zz_generated.bandwidth.go (2026-08-18)",
    "on-demand prices: karpenter-provider-aws zz_generated.pricing_aws.go (us-east-1 and GovCloud, 2026-07-20)",
    "on-demand prices of other regions: apache-libcloud pricing.json, six releases to 2025-03, scaled to us-east-1",
    "spot savings and reclaim bands: AWS Spot Advisor as in spotinfo 2.2.0 (2025-07-28)",
    "zonal spot prices of 12 types: skypilot-catalog v8 (undated); zones: moto 5.2.5 and sc-data-dumps (2026-01-31)",
];

type Row = BTreeMap<String, String>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, output] = arguments.as_slice() else {
        bail!("usage: build_catalog FOLDER OUTPUT");
    };
    let built = build(Path::new(folder))?;
    std::fs::write(output, &built.bytes).with_context(|| format!("cannot write {output}"))?;
    println!("{}", built.counts);
    println!("{output}: {} bytes", built.bytes.len());
    Ok(())
}

/// The file and what went into it.
pub struct Built {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// How much of what it holds.
    pub counts: String,
}

/// Turns the tables of a folder into the file.
pub fn build(folder: &Path) -> Result<Built> {
    let tables = Tables::read(folder)?;
    let mut text = format!("{FORM}\ndate {DATE}\n");
    for source in SOURCES {
        text += &format!("source {source}\n");
    }
    text += &format!("types {}\n", tables.types.len());
    for row in tables.types.values() {
        text += &type_line(row)?;
    }
    for (region, zones) in &tables.zones {
        region_lines(&tables, region, zones, &mut text)?;
    }
    let mut bytes = Vec::new();
    let mut encoder =
        flate2::GzBuilder::new().mtime(0).write(&mut bytes, flate2::Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()?;
    let counts = format!(
        "{} types, {} regions, {} prices ({} of unknown types left out), {} spot lines ({} left out), \
         {} zonal spot prices, {} offerings",
        tables.types.len(),
        tables.zones.len(),
        tables.prices.len(),
        tables.unknown_prices,
        tables.spot.len(),
        tables.unknown_spot,
        tables.zonal.len(),
        tables.offered.len(),
    );
    Ok(Built { bytes, counts })
}

/// Keyed by region and type.
type ByRegionAndType<T> = BTreeMap<(String, String), T>;

struct Tables {
    types: BTreeMap<String, Row>,
    /// Zone letters with ids, by region.
    zones: BTreeMap<String, BTreeMap<String, String>>,
    offered: ByRegionAndType<String>,
    /// Micro-USD and basis.
    prices: ByRegionAndType<(i64, usize)>,
    /// Saving and reclaim band.
    spot: ByRegionAndType<(i64, usize)>,
    /// Micro-USD by region, type and zone letter.
    zonal: BTreeMap<(String, String, String), i64>,
    unknown_prices: usize,
    unknown_spot: usize,
}

impl Tables {
    fn read(folder: &Path) -> Result<Tables> {
        let mut tables = Tables {
            types: BTreeMap::new(),
            zones: BTreeMap::new(),
            offered: BTreeMap::new(),
            prices: BTreeMap::new(),
            spot: BTreeMap::new(),
            zonal: BTreeMap::new(),
            unknown_prices: 0,
            unknown_spot: 0,
        };
        for row in rows(folder, "instance-types.csv")? {
            let name = cell(&row, "instance_type")?.to_owned();
            ensure!(tables.types.insert(name.clone(), row).is_none(), "type {name} twice");
        }
        for row in rows(folder, "zones.csv")? {
            let (region, zone) = (cell(&row, "region")?, cell(&row, "zone")?);
            let letter = zone.strip_prefix(region).filter(|letter| letter.len() == 1);
            let letter = letter.with_context(|| format!("zone {zone} has no letter"))?.to_owned();
            let id = cell(&row, "zone_id")?.to_owned();
            let known = tables.zones.entry(region.to_owned()).or_default();
            ensure!(known.insert(letter, id).is_none(), "zone {zone} twice");
        }
        tables.offerings(folder)?;
        tables.on_demand(folder)?;
        tables.spot(folder)?;
        Ok(tables)
    }

    /// Region and type of a row: the region must be known; `None` when the type is not.
    fn key(&self, row: &Row) -> Result<Option<(String, String)>> {
        let (region, name) = (cell(row, "region")?, cell(row, "instance_type")?);
        ensure!(self.zones.contains_key(region), "region {region} has no zones");
        Ok(self.types.contains_key(name).then(|| (region.to_owned(), name.to_owned())))
    }

    fn offerings(&mut self, folder: &Path) -> Result<()> {
        for row in rows(folder, "zone-offerings.csv")? {
            let key =
                self.key(&row)?.with_context(|| format!("offering of unknown type: {row:?}"))?;
            let letters = cell(&row, "zone_letters")?;
            let known = &self.zones[&key.0];
            for letter in letters.chars() {
                ensure!(known.contains_key(&letter.to_string()), "{} has no zone {letter}", key.0);
            }
            let twice = self.offered.insert(key, letters.to_owned());
            ensure!(twice.is_none(), "offering twice: {row:?}");
        }
        Ok(())
    }

    fn on_demand(&mut self, folder: &Path) -> Result<()> {
        for row in rows(folder, "on-demand-prices.csv")? {
            let Some(key) = self.key(&row)? else {
                self.unknown_prices += 1;
                continue;
            };
            let basis = cell(&row, "basis")?;
            let basis = PriceBasis::ALL.iter().position(|known| known.name() == basis);
            let basis = basis.with_context(|| format!("unknown basis: {row:?}"))?;
            let price = micro_usd(cell(&row, "usd_per_hour")?)?;
            let twice = self.prices.insert(key, (price, basis));
            ensure!(twice.is_none(), "price twice: {row:?}");
        }
        Ok(())
    }

    fn spot(&mut self, folder: &Path) -> Result<()> {
        for row in rows(folder, "spot.csv")? {
            let Some(key) = self.key(&row)? else {
                self.unknown_spot += 1;
                continue;
            };
            let saving: i64 = cell(&row, "savings_percent")?.parse()?;
            ensure!(saving < 100, "a saving of {saving} %: {row:?}");
            let least = cell(&row, "interruption_min_percent")?;
            let band = ["0", "5", "10", "15", "20"].iter().position(|known| *known == least);
            let band = band.with_context(|| format!("unknown band: {row:?}"))?;
            let twice = self.spot.insert(key, (saving, band));
            ensure!(twice.is_none(), "spot line twice: {row:?}");
        }
        for row in rows(folder, "spot-zonal.csv")? {
            let (region, name) =
                self.key(&row)?.with_context(|| format!("unknown type: {row:?}"))?;
            let letter = cell(&row, "zone")?.strip_prefix(&region).unwrap_or_default().to_owned();
            ensure!(self.zones[&region].contains_key(&letter), "unknown zone: {row:?}");
            let price = micro_usd(cell(&row, "usd_per_hour")?)?;
            self.zonal.insert((region, name, letter), price);
        }
        Ok(())
    }
}

fn rows(folder: &Path, file: &str) -> Result<Vec<Row>> {
    let path = folder.join(file);
    let mut reader =
        csv::Reader::from_path(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows = reader.deserialize::<Row>().collect::<Result<Vec<Row>, _>>();
    let rows = rows.with_context(|| file.to_owned())?;
    ensure!(!rows.is_empty(), "{file} is empty");
    Ok(rows)
}

fn cell<'r>(row: &'r Row, column: &str) -> Result<&'r str> {
    let cell = row.get(column).with_context(|| format!("no column {column}"))?;
    ensure!(!cell.contains([' ', ':', '*', '=']), "`{cell}` would break the form");
    Ok(cell)
}

/// Decimal dollars in exact micro-USD.
fn micro_usd(text: &str) -> Result<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    ensure!(fraction.len() <= 6, "{text} has more than six decimals");
    let micro: i64 = format!("{whole}{fraction:0<6}").parse().with_context(|| text.to_owned())?;
    ensure!(micro > 0, "a price of {text}");
    Ok(micro)
}

fn type_line(row: &Row) -> Result<String> {
    let name = cell(row, "instance_type")?;
    let flag = |column: &str| cell(row, column).map(|cell| cell == "1");
    let usage: BTreeSet<&str> = cell(row, "usage")?.split('|').collect();
    let listed = flag("karpenter_visible")? && cell(row, "source")? != "autoscaler";
    let mut flags = String::new();
    for (letter, on) in [
        ('b', flag("burstable")?),
        ('m', flag("bare_metal")?),
        ('c', flag("current_generation")?),
        ('e', flag("encryption_in_transit")?),
        ('n', flag("nested_virt")?),
        ('v', flag("local_nvme")?),
        ('o', usage.contains("od")),
        ('s', usage.contains("spot")),
        ('l', listed),
        ('k', flag("complete")?),
    ] {
        if on {
            flags.push(letter);
        }
    }
    let mut fields = vec![name.to_owned()];
    for field in &TYPE_FIELDS[1..] {
        let text = match *field {
            "flags" => flags.clone(),
            "gpu" => device(
                row,
                "gpu_entries",
                ["gpu_count", "gpu_name", "gpu_manufacturer", "gpu_memory_mib"],
            )?,
            "accelerator" => device(
                row,
                "accelerator_count",
                [
                    "accelerator_count",
                    "accelerator_name",
                    "accelerator_manufacturer",
                    "neuron_cores",
                ],
            )?,
            "vcpus" => cell(row, "vcpu")?.to_owned(),
            "interfaces" => cell(row, "max_enis")?.to_owned(),
            "ipv4_per_interface" => cell(row, "ipv4_per_eni")?.to_owned(),
            "branch_interfaces" => cell(row, "branch_enis")?.to_owned(),
            "efa_interfaces" => cell(row, "efa_max")?.to_owned(),
            same => cell(row, same)?.to_owned(),
        };
        fields.push(if text.is_empty() { "-".to_owned() } else { text });
    }
    ensure!(!listed || fields[1] != "-", "{name} is listed but has no architecture");
    ensure!(listed || cell(row, "complete")? == "0" || fields[1] == "-", "{name} is left out");
    Ok(fields.join(" ") + "\n")
}

/// Empty for no device and for one of which only the count is known.
fn device(row: &Row, present: &str, columns: [&str; 4]) -> Result<String> {
    if matches!(cell(row, present)?, "" | "0") {
        return Ok(String::new());
    }
    let parts = columns.map(|column| cell(row, column));
    let parts = parts.into_iter().collect::<Result<Vec<&str>>>()?;
    Ok(if parts.contains(&"") { String::new() } else { parts.join(":") })
}

fn region_lines(
    tables: &Tables,
    region: &str,
    zones: &BTreeMap<String, String>,
    text: &mut String,
) -> Result<()> {
    let zone = |(letter, id): (&String, &String)| format!("{region}{letter}={id}");
    let list: Vec<String> = zones.iter().map(zone).collect();
    *text += &format!("region {region}\nzones {}\n", list.join(" "));
    let all: String = zones.keys().map(String::as_str).collect();
    let knows_offerings = tables.offered.keys().any(|(known, _)| known == region);
    let keys: Vec<(String, String)> =
        tables.types.keys().map(|name| (region.to_owned(), name.clone())).collect();
    // Where no table says which zone offers what, every priced type is offered in every zone.
    let offered = |key: &(String, String)| match knows_offerings {
        true => tables.offered.get(key).cloned(),
        false => tables.prices.contains_key(key).then(|| all.clone()),
    };
    let price = |key: &_| tables.prices.get(key);
    let spot = |key: &_| tables.spot.get(key);
    let mut line = |word: &str, values: Vec<Option<String>>| {
        *text += &format!("{word} {}\n", runs(&values));
    };
    line("offered", keys.iter().map(offered).collect());
    line("prices", keys.iter().map(|key| price(key).map(|p| p.0.to_string())).collect());
    line("basis", keys.iter().map(|key| price(key).map(|p| p.1.to_string())).collect());
    line("savings", keys.iter().map(|key| spot(key).map(|s| s.0.to_string())).collect());
    line("reclaim", keys.iter().map(|key| spot(key).map(|s| s.1.to_string())).collect());
    let mut zonal: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((known, name, letter), price) in &tables.zonal {
        if known == region {
            zonal.entry(name).or_default().push(format!("{letter}={price}"));
        }
    }
    for (name, prices) in zonal {
        *text += &format!("spot {name} {}\n", prices.join(" "));
    }
    Ok(())
}

/// Values in a row, repetitions as `value*times`.
fn runs(values: &[Option<String>]) -> String {
    let runs = values.chunk_by(|a, b| a == b).map(|run| {
        let value = run.first().and_then(Option::as_deref).unwrap_or("-");
        if run.len() == 1 { value.to_owned() } else { format!("{value}*{}", run.len()) }
    });
    runs.collect::<Vec<_>>().join(" ")
}
