//! A listing as a table and as JSON.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::{Listing, Row};
use crate::ec2::catalog::{Arch, PriceBasis, SpotBasis, usd};
use crate::report::axis::grouped;
use crate::units::resources::Lane;

const HEADER: [&str; 13] = [
    "type",
    "arch",
    "vcpu",
    "memory GiB",
    "gpu",
    "alloc cpu",
    "alloc memory",
    "pods",
    "on-demand $/h",
    "spot $/h",
    "saving",
    "reclaim",
    "zones",
];
/// Columns of text stand left, numbers right.
const LEFT: [usize; 4] = [0, 1, 4, 12];

impl Listing<'_> {
    /// The rows as a table with a header, and below it what the figures are.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(HEADER);
        for row in &self.rows {
            table.add_row(self.cells(row));
        }
        for (i, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if !LEFT.contains(&i) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = String::new();
        for line in table.lines() {
            text += line.trim_end();
            text.push('\n');
        }
        text + "\n" + &self.footer()
    }

    fn footer(&self) -> String {
        let count = |count: usize| grouped(count as f64, 0);
        let (rows, matching, of) = (self.rows.len(), count(self.matching), count(self.of));
        let shown = match rows < self.matching {
            true => format!("{} of {matching} matching types", count(rows)),
            false => format!("{matching} of {of} types"),
        };
        let basis: Vec<String> = (self.price_basis().iter())
            .map(|(basis, count)| format!("{} {}", grouped(*count as f64, 0), basis.name()))
            .collect();
        let basis = if basis.is_empty() { "none known".to_owned() } else { basis.join(", ") };
        let mut text = format!(
            "{shown} in {}; allocatable with {}\nprices: {} ({basis})\n",
            self.region,
            self.ami_family.name(),
            self.price_list,
        );
        let rough = |row: &Row<'_>| is_rough(row) || is_assumed(row);
        if self.rows.iter().any(rough) {
            text += "~ estimated from another region, a similar type or a usual saving\n";
        }
        text + &format!("catalogue {:016x}\n", self.digest)
    }

    fn cells(&self, row: &Row<'_>) -> [String; 13] {
        let facts = row.facts;
        let gpu = facts.gpu.as_ref().map(|gpu| (gpu.count, gpu.name.as_str()));
        let device = facts.accelerator.as_ref().map(|device| (device.count, device.name.as_str()));
        let device = gpu.or(device).map(|(count, name)| format!("{count} {name}"));
        let lane = |lane| row.allocatable.lane(lane);
        let price = |rough: bool, micro: i64| {
            let sign = if rough { "~" } else { "" };
            format!("{sign}{}", dollars(micro))
        };
        let missing = || "-".to_owned();
        let on_demand = row.on_demand.map(|on_demand| price(is_rough(row), on_demand.micro_usd));
        let spot_rough = is_rough(row) || is_assumed(row);
        let spot = row.spot.map(|spot| price(spot_rough, spot.micro_usd));
        let saving = row.saving_percent().map(|saving| format!("{saving:.0}%"));
        let reclaim = row.advice.filter(|_| row.spot.is_some());
        let letters = row.zones.iter().map(|zone| zone.strip_prefix(self.region).unwrap_or(zone));
        [
            facts.name.clone(),
            facts.arch.map_or("-", Arch::name).to_owned(),
            facts.vcpus.to_string(),
            gib(facts.memory_mib),
            device.unwrap_or_default(),
            format!("{}m", grouped(lane(Lane::Cpu) as f64, 0)),
            format!("{}Mi", grouped((lane(Lane::Memory) >> 20) as f64, 0)),
            lane(Lane::Pods).to_string(),
            on_demand.unwrap_or_else(missing),
            spot.unwrap_or_else(missing),
            saving.unwrap_or_else(missing),
            reclaim.map_or_else(missing, |advice| advice.reclaim.name().to_owned()),
            letters.collect::<Vec<_>>().join(" "),
        ]
    }

    /// The listing as JSON: raw numbers, names of units in the keys.
    pub fn json(&self) -> Value {
        let basis: serde_json::Map<String, Value> = (self.price_basis().iter())
            .map(|(basis, count)| (basis.name().to_owned(), json!(count)))
            .collect();
        json!({
            "region": self.region,
            "ami_family": self.ami_family.name(),
            "prices": self.price_list,
            "price_basis": basis,
            "catalogue": format!("{:016x}", self.digest),
            "matching": self.matching,
            "of": self.of,
            "types": self.rows.iter().map(object).collect::<Vec<Value>>(),
        })
    }
}

fn object(row: &Row<'_>) -> Value {
    let facts = row.facts;
    let (category, generation) = facts.category_and_generation().unzip();
    let gpu = facts.gpu.as_ref().map(|gpu| {
        json!({
            "count": gpu.count,
            "name": gpu.name,
            "manufacturer": gpu.manufacturer,
            "memory_mib": gpu.memory_mib,
        })
    });
    let accelerator = facts.accelerator.as_ref().map(|device| {
        json!({
            "count": device.count,
            "name": device.name,
            "manufacturer": device.manufacturer,
            "cores": device.cores,
        })
    });
    let allocatable: serde_json::Map<String, Value> =
        row.allocatable.iter().map(|(name, amount)| (name.to_owned(), json!(amount))).collect();
    json!({
        "name": facts.name,
        "family": facts.family(),
        "size": facts.size(),
        "category": category,
        "generation": generation.and_then(|digits| digits.parse::<i64>().ok()),
        "arch": facts.arch.map(Arch::name),
        "vcpu": facts.vcpus,
        "memory_mib": facts.memory_mib,
        "bare_metal": facts.bare_metal,
        "burstable": facts.burstable,
        "local_storage_gb": facts.local_storage_gb,
        "network_mbps": facts.network_mbps,
        "ebs_mbps": facts.ebs_mbps,
        "gpu": gpu,
        "accelerator": accelerator,
        "allocatable": allocatable,
        "on_demand_usd_per_hour": row.on_demand.map(|price| usd(price.micro_usd)),
        "on_demand_basis": row.on_demand.map(|price| price.basis.name()),
        "spot_usd_per_hour": row.spot.map(|price| usd(price.micro_usd)),
        "spot_basis": row.spot.map(|price| price.basis.name()),
        "reclaim_per_month": row.advice.map(|advice| advice.reclaim.name()),
        "zones": row.zones,
    })
}

fn is_rough(row: &Row<'_>) -> bool {
    row.on_demand.is_some_and(|price| price.basis > PriceBasis::Listed)
}

fn is_assumed(row: &Row<'_>) -> bool {
    row.spot.is_some_and(|price| price.basis == SpotBasis::Assumed)
}

/// Four decimals, half up.
fn dollars(micro_usd: i64) -> String {
    let tenths = (micro_usd + 50) / 100;
    format!("{}.{:04}", grouped((tenths / 10_000) as f64, 0), tenths % 10_000)
}

/// Whole GiB without decimals.
fn gib(mib: i64) -> String {
    let decimals = usize::from(mib % 1024 != 0);
    grouped(mib as f64 / 1024.0, decimals)
}
