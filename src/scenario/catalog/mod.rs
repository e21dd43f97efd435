//! The embedded EC2 catalogue: `ec2.txt.gz`, read once into an [`ec2::Catalog`](Catalog).
//!
//! [`embedded`] is the catalogue of this build; `settings::Catalogue::from(embedded())` are its names, for checking a
//! scenario. `README.md` beside the file says where the facts are from; `examples/build_catalog.rs` writes the file.
//!
//! # The file
//!
//! Gzip of UTF-8 text, one record a line, fields separated by one space, `-` for unknown. The first word says what it
//! is:
//!
//! - `karpsim-ec2-catalogue 1`: form and version, the first line.
//! - `date 2026-07`; `source` and a sentence.
//! - `types`, the number of types, then one line a type with the fields of [`TYPE_FIELDS`], ascending by name. The
//!   flags of a type are letters, see [`FLAGS`]. GPUs and accelerators are `count:name:manufacturer:memory or cores`.
//! - `region us-west-2`, followed by its lines: `zones` with `name=id` each; `offered`, `prices`, `basis`, `savings`
//!   and `reclaim` with one value for each type. `offered` is a word of zone letters (the end of the zones' names),
//!   `prices` are micro-USD per hour, `basis` and `reclaim` are positions in [`PriceBasis::ALL`] and
//!   [`ReclaimBand::ALL`]. The same value several times in a row is written once, as `value*times`.
//! - `spot`, a type, then `zone-letter=micro-USD` each: recorded spot prices of the region.

use std::io::Read;
use std::sync::OnceLock;

use crate::ec2::catalog::{
    Accelerator, Arch, Catalog, Gpu, OnDemand, PriceBasis, ReclaimBand, Region, Sale, SpotAdvice,
    TypeFacts, Zone,
};
use crate::engine::Digest;

/// The first line.
pub const FORM: &str = "karpsim-ec2-catalogue 1";

/// The fields of a type's line.
pub const TYPE_FIELDS: [&str; 17] = [
    "name",
    "arch",
    "vcpus",
    "memory_mib",
    "flags",
    "hypervisor",
    "cpu_manufacturer",
    "cpu_mhz",
    "interfaces",
    "ipv4_per_interface",
    "branch_interfaces",
    "network_mbps",
    "ebs_mbps",
    "local_storage_gb",
    "gpu",
    "accelerator",
    "efa_interfaces",
];

/// Letters in `flags`: burstable, bare metal, current generation, encryption in transit, nested virtualisation, local
/// NVMe, on-demand, spot, listed by Karpenter, complete.
pub const FLAGS: &str = "bmcenvoslk";

static FILE: &[u8] = include_bytes!("ec2.txt.gz");

/// The catalogue of this build.
pub fn embedded() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    // The file is part of the program; a test reads it.
    CATALOG.get_or_init(|| read(FILE).expect("the embedded catalogue is well formed"))
}

/// Reads a catalogue file; the error names the line.
pub fn read(file: &[u8]) -> Result<Catalog, String> {
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(file);
    decoder.read_to_string(&mut text).map_err(|error| format!("no gzip of text: {error}"))?;
    let mut lines = text.lines().enumerate();
    if lines.next().map(|(_, line)| line) != Some(FORM) {
        return Err(format!("the first line is not `{FORM}`"));
    }
    let mut digest = Digest::default();
    digest.write_bytes(text.as_bytes());
    let mut catalog = Catalog { digest: digest.finish(), ..Catalog::default() };
    let mut types_left = 0;
    for (i, line) in lines {
        let read = match types_left {
            0 => record(line, &mut catalog, &mut types_left),
            _ => type_facts(line).map(|facts| {
                catalog.types.push(facts);
                types_left -= 1;
            }),
        };
        read.ok_or_else(|| format!("line {} is malformed: {line:.80}", i + 1))?;
    }
    if !catalog.types.is_sorted_by(|a, b| a.name < b.name) {
        return Err("the types are not in ascending order".to_owned());
    }
    if !catalog.regions.is_sorted_by(|a, b| a.name < b.name) {
        return Err("the regions are not in ascending order".to_owned());
    }
    Ok(catalog)
}

/// A line outside the table of types.
fn record(line: &str, catalog: &mut Catalog, types_left: &mut usize) -> Option<()> {
    let (word, rest) = line.split_once(' ')?;
    let count = catalog.types.len();
    match word {
        "date" => catalog.date = rest.to_owned(),
        "source" => catalog.sources.push(rest.to_owned()),
        "types" => *types_left = rest.parse().ok()?,
        "region" => {
            let (name, sales) = (rest.to_owned(), vec![Sale::default(); count]);
            catalog.regions.push(Region { name, sales, ..Region::default() });
        }
        "spot" => {
            let (name, prices) = rest.split_once(' ')?;
            let position = u32::try_from(catalog.position(name)?).ok()?;
            let region = catalog.regions.last_mut()?;
            for entry in prices.split(' ') {
                let (letter, price) = entry.split_once('=')?;
                let zone = u32::try_from(zone_of_letter(region, letter)?).ok()?;
                region.zonal_spot.insert((position, zone), price.parse().ok()?);
            }
        }
        _ => region_line(word, rest, catalog.regions.last_mut()?)?,
    }
    Some(())
}

fn region_line(word: &str, rest: &str, region: &mut Region) -> Option<()> {
    if word == "zones" {
        for zone in rest.split(' ') {
            let (name, id) = zone.split_once('=')?;
            region.zones.push(Zone { name: name.to_owned(), id: id.to_owned() });
        }
        return (region.zones.len() <= 16).then_some(());
    }
    let mut position = 0;
    for run in rest.split(' ') {
        let (value, times) = run.split_once('*').unwrap_or((run, "1"));
        let times: usize = times.parse().ok()?;
        let end = position + times;
        if value != "-" {
            let zones = if word == "offered" { zone_mask(region, value)? } else { 0 };
            for sale in region.sales.get_mut(position..end)? {
                set(sale, word, value, zones)?;
            }
        }
        position = end;
    }
    (position == region.sales.len()).then_some(())
}

fn set(sale: &mut Sale, word: &str, value: &str, zones: u16) -> Option<()> {
    match word {
        "offered" => sale.zones = zones,
        "prices" => {
            let basis = PriceBasis::Unchecked;
            sale.on_demand = Some(OnDemand { micro_usd: value.parse().ok()?, basis });
        }
        "basis" => {
            let basis = value.parse::<usize>().ok()?;
            sale.on_demand.as_mut()?.basis = *PriceBasis::ALL.get(basis)?;
        }
        "savings" => {
            let saving_percent = value.parse().ok()?;
            sale.advice = Some(SpotAdvice { saving_percent, reclaim: ReclaimBand::Above20 });
        }
        "reclaim" => {
            let band = value.parse::<usize>().ok()?;
            sale.advice.as_mut()?.reclaim = *ReclaimBand::ALL.get(band)?;
        }
        _ => return None,
    }
    Some(())
}

fn zone_of_letter(region: &Region, letter: &str) -> Option<usize> {
    region.zones.iter().position(|zone| zone.name.strip_prefix(&region.name) == Some(letter))
}

fn zone_mask(region: &Region, letters: &str) -> Option<u16> {
    let mut mask = 0;
    for i in 0..letters.len() {
        mask |= 1 << zone_of_letter(region, letters.get(i..=i)?)?;
    }
    Some(mask)
}

fn type_facts(line: &str) -> Option<TypeFacts> {
    let fields: Vec<&str> = line.split(' ').collect();
    let &[name, arch, vcpus, memory, flags, ref rest @ ..] = fields.as_slice() else {
        return None;
    };
    let &[hypervisor, manufacturer, mhz, interfaces, ipv4, branches, network, ebs, ref rest @ ..] =
        rest
    else {
        return None;
    };
    let &[storage, gpu, accelerator, efa] = rest else { return None };
    let flag = |letter| flags.contains(letter);
    let text = |field: &str| if field == "-" { String::new() } else { field.to_owned() };
    Some(TypeFacts {
        name: name.to_owned(),
        arch: [Arch::Amd64, Arch::Arm64].into_iter().find(|known| known.name() == arch),
        vcpus: vcpus.parse().ok()?,
        memory_mib: memory.parse().ok()?,
        burstable: flag('b'),
        bare_metal: flag('m'),
        current_generation: flag('c'),
        encryption_in_transit: flag('e'),
        nested_virtualization: flag('n'),
        local_nvme: flag('v'),
        on_demand: flag('o'),
        spot: flag('s'),
        listed: flag('l'),
        complete: flag('k'),
        hypervisor: text(hypervisor),
        cpu_manufacturer: text(manufacturer),
        cpu_mhz: number(mhz)?.unwrap_or(0),
        interfaces: interfaces.parse().ok()?,
        ipv4_per_interface: ipv4.parse().ok()?,
        branch_interfaces: branches.parse().ok()?,
        network_mbps: number(network)?,
        ebs_mbps: number(ebs)?,
        local_storage_gb: number(storage)?.unwrap_or(0),
        gpu: device(gpu)?.map(|(count, name, manufacturer, memory_mib)| Gpu {
            count,
            name,
            manufacturer,
            memory_mib,
        }),
        accelerator: device(accelerator)?.map(|(count, name, manufacturer, cores)| Accelerator {
            count,
            name,
            manufacturer,
            cores,
        }),
        efa_interfaces: number(efa)?.unwrap_or(0),
    })
}

/// A number, `Some(None)` for `-`.
fn number(field: &str) -> Option<Option<i64>> {
    if field == "-" { Some(None) } else { field.parse().ok().map(Some) }
}

type Device = (i64, String, String, i64);

/// `count:name:manufacturer:amount`, `Some(None)` for `-`.
fn device(field: &str) -> Option<Option<Device>> {
    if field == "-" {
        return Some(None);
    }
    let parts: Vec<&str> = field.split(':').collect();
    let &[count, name, manufacturer, amount] = parts.as_slice() else { return None };
    let (count, amount) = (count.parse().ok()?, amount.parse().ok()?);
    Some(Some((count, name.to_owned(), manufacturer.to_owned(), amount)))
}
