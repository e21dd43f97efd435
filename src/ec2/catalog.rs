//! What EC2 sells: instance types, and per region its zones, prices and what each zone offers. Plain data; the embedded
//! table is read by `scenario::catalog`.
//!
//! Amounts are whole micro-USD per hour: no list price has more than six decimals, so that `micro / 1e6` is the very
//! `f64` that Karpenter reads from the price list's decimal text.

use std::collections::BTreeMap;

/// The catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The month of the newest price list inside, e.g. `2026-07`.
    pub date: String,
    /// Where the facts are from, one sentence each.
    pub sources: Vec<String>,
    /// All instance types, ascending by name.
    pub types: Vec<TypeFacts>,
    /// All regions, ascending by name.
    pub regions: Vec<Region>,
    /// Of the table's text; equal digests mean equal facts.
    pub digest: u64,
}

/// A CPU architecture that Karpenter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Arch {
    /// The value of `kubernetes.io/arch`.
    pub const fn name(self) -> &'static str {
        match self {
            Arch::Amd64 => "amd64",
            Arch::Arm64 => "arm64",
        }
    }
}

/// What EC2 says about an instance type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeFacts {
    /// The name, e.g. `m5.large`.
    pub name: String,
    /// The first supported architecture; `None` for Macs.
    pub arch: Option<Arch>,
    /// vCPUs by default.
    pub vcpus: i64,
    /// Memory in MiB, before anything is taken off.
    pub memory_mib: i64,
    /// A T type, with CPU credits.
    pub burstable: bool,
    /// A whole machine.
    pub bare_metal: bool,
    /// Of the current generation, as EC2 counts.
    pub current_generation: bool,
    /// Encrypts traffic between instances.
    pub encryption_in_transit: bool,
    /// Can run virtual machines inside.
    pub nested_virtualization: bool,
    /// `nitro` or `xen`; empty for bare metal.
    pub hypervisor: String,
    /// As in Karpenter's label: `intel`, `amd`, `aws`.
    pub cpu_manufacturer: String,
    /// Sustained clock in MHz, 0 when EC2 does not say.
    pub cpu_mhz: i64,
    /// Network interfaces of the default card.
    pub interfaces: i64,
    /// IPv4 addresses of an interface.
    pub ipv4_per_interface: i64,
    /// Branch interfaces for pods with security groups of their own.
    pub branch_interfaces: i64,
    /// Baseline bandwidth in Mbps, where AWS documents it.
    pub network_mbps: Option<i64>,
    /// Largest EBS bandwidth in Mbps, if EBS-optimised by default.
    pub ebs_mbps: Option<i64>,
    /// Instance store in GB (10^9), 0 without.
    pub local_storage_gb: i64,
    /// The instance store counts as NVMe.
    pub local_nvme: bool,
    /// GPUs.
    pub gpu: Option<Gpu>,
    /// Neuron devices or other accelerators.
    pub accelerator: Option<Accelerator>,
    /// Most EFA interfaces.
    pub efa_interfaces: i64,
    /// Sold on demand.
    pub on_demand: bool,
    /// Sold as spot.
    pub spot: bool,
    /// Karpenter lists it, and enough is known to list it here: no Macs (not listed) and no retired types of which only
    /// vCPUs and memory are known.
    pub listed: bool,
    /// Every fact is known.
    pub complete: bool,
}

/// GPUs of a type, all of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// How many; 0 for a fraction of one.
    pub count: i64,
    /// As in Karpenter's label, e.g. `a10g`.
    pub name: String,
    /// As in Karpenter's label: `nvidia`, `amd`.
    pub manufacturer: String,
    /// MiB of each.
    pub memory_mib: i64,
}

/// Accelerators of a type that are no GPUs, all of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accelerator {
    /// How many devices.
    pub count: i64,
    /// As in Karpenter's label, e.g. `inferentia2`.
    pub name: String,
    /// As in Karpenter's label, e.g. `aws`.
    pub manufacturer: String,
    /// Neuron cores over all devices, 0 for other accelerators.
    pub cores: i64,
}

impl TypeFacts {
    /// The text before the dot.
    pub fn family(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(family, _)| family)
    }

    /// The text after the dot.
    pub fn size(&self) -> &str {
        self.name.split_once('.').map_or("", |(_, size)| size)
    }

    /// Category and generation: the letters at the start and the digits after them, with `-<n>tb` between them allowed
    /// (karpenter-provider-aws v1.14.1 `pkg/providers/instancetype/types.go`, `instanceTypeScheme`). `None` for names
    /// of another form.
    pub fn category_and_generation(&self) -> Option<(&str, &str)> {
        let (stem, _) = self.name.rsplit_once('.')?;
        let category = leading(stem, |c| c.is_ascii_lowercase());
        let rest = &stem[category.len()..];
        let rest = match rest.strip_prefix('-') {
            Some(tail) => tail[leading(tail, |c| c.is_ascii_digit()).len()..].strip_prefix("tb")?,
            None => rest,
        };
        let generation = leading(rest, |c| c.is_ascii_digit());
        (!category.is_empty() && !generation.is_empty()).then_some((category, generation))
    }

    /// A flex type: cheaper, with a bounded share of full CPU speed.
    pub fn is_flex(&self) -> bool {
        self.family().contains("-flex")
    }
}

fn leading(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !belongs(c)).unwrap_or(text.len())]
}

/// A region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// The name, e.g. `us-west-2`.
    pub name: String,
    /// Its zones, ascending by name; at most 16.
    pub zones: Vec<Zone>,
    /// What it sells, one entry for each of [`Catalog::types`], in their order.
    pub sales: Vec<Sale>,
    /// Spot prices of single zones in micro-USD per hour, by position of the type and of the zone.
    pub zonal_spot: BTreeMap<(u32, u32), i64>,
}

/// An availability zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The name, e.g. `us-west-2a`.
    pub name: String,
    /// The zone id, e.g. `usw2-az1`. Which name has which id differs between AWS accounts.
    pub id: String,
}

/// How a region sells an instance type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sale {
    /// Bit `i` is set iff zone `i` of the region offers it.
    pub zones: u16,
    /// The on-demand price.
    pub on_demand: Option<OnDemand>,
    /// What the Spot Advisor says of it.
    pub advice: Option<SpotAdvice>,
}

/// An on-demand price: Linux, shared tenancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDemand {
    /// Micro-USD per hour.
    pub micro_usd: i64,
    /// Where the figure is from.
    pub basis: PriceBasis,
}

/// Where an on-demand price is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PriceBasis {
    /// Karpenter's own table.
    Generated,
    /// A price list of the region.
    Listed,
    /// The price of us-east-1 times what the family costs more in the region.
    FamilyRatio,
    /// The same with the most similar family: the type is newer than the region's price list.
    Estimated,
    /// Listed in one place only; may be the price of dedicated tenancy.
    Unchecked,
}

impl PriceBasis {
    /// All, the most certain first.
    pub const ALL: [PriceBasis; 5] = [
        PriceBasis::Generated,
        PriceBasis::Listed,
        PriceBasis::FamilyRatio,
        PriceBasis::Estimated,
        PriceBasis::Unchecked,
    ];

    /// In reports.
    pub const fn name(self) -> &'static str {
        match self {
            PriceBasis::Generated => "generated",
            PriceBasis::Listed => "listed",
            PriceBasis::FamilyRatio => "family-ratio",
            PriceBasis::Estimated => "estimated",
            PriceBasis::Unchecked => "unchecked",
        }
    }
}

/// The Spot Advisor's line for a type in a region: no detail by zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpotAdvice {
    /// Per cent off the on-demand price. Some are below 0: list prices fell since.
    pub saving_percent: i64,
    /// How often it is reclaimed.
    pub reclaim: ReclaimBand,
}

/// Share of the instances that EC2 reclaimed within a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReclaimBand {
    /// Below 5 %.
    Below5,
    /// 5 to 10 %.
    Below10,
    /// 10 to 15 %.
    Below15,
    /// 15 to 20 %.
    Below20,
    /// Above 20 %.
    Above20,
}

impl ReclaimBand {
    /// All, ascending.
    pub const ALL: [ReclaimBand; 5] = [
        ReclaimBand::Below5,
        ReclaimBand::Below10,
        ReclaimBand::Below15,
        ReclaimBand::Below20,
        ReclaimBand::Above20,
    ];

    /// In reports.
    pub const fn name(self) -> &'static str {
        match self {
            ReclaimBand::Below5 => "<5%",
            ReclaimBand::Below10 => "5-10%",
            ReclaimBand::Below15 => "10-15%",
            ReclaimBand::Below20 => "15-20%",
            ReclaimBand::Above20 => ">20%",
        }
    }
}

/// A spot price and where it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpotPrice {
    /// Micro-USD per hour.
    pub micro_usd: i64,
    /// Where the figure is from.
    pub basis: SpotBasis,
}

/// Where a spot price is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpotBasis {
    /// Recorded for the zone.
    Zonal,
    /// On-demand price less the Spot Advisor's saving in the region: the same in all zones.
    Advisor,
    /// On-demand price less the run's assumed saving: the type is newer than the Advisor's table.
    Assumed,
}

impl SpotBasis {
    /// In reports.
    pub const fn name(self) -> &'static str {
        match self {
            SpotBasis::Zonal => "zonal",
            SpotBasis::Advisor => "advisor",
            SpotBasis::Assumed => "assumed",
        }
    }
}

impl Region {
    /// Positions of the zones that offer the type at position `of`, ascending.
    pub fn zones_of(&self, of: usize) -> impl Iterator<Item = usize> + '_ {
        let mask = self.sales.get(of).map_or(0, |sale| sale.zones);
        (0..self.zones.len()).filter(move |zone| mask & (1 << zone) != 0)
    }

    /// The spot price of the type at position `of` in the zone at position `zone`. `None` without an on-demand price.
    ///
    /// The zone's own figure where one is known; else the on-demand price less the Spot Advisor's saving, or less
    /// `assumed_saving_percent` for types that the Advisor does not know, half a micro-USD rounded up. A computed price
    /// is never above the on-demand price, as EC2 promises.
    pub fn spot_price(
        &self,
        of: usize,
        zone: usize,
        assumed_saving_percent: i64,
    ) -> Option<SpotPrice> {
        if let Some(micro_usd) = self.zonal_spot.get(&(of as u32, zone as u32)) {
            return Some(SpotPrice { micro_usd: *micro_usd, basis: SpotBasis::Zonal });
        }
        let sale = self.sales.get(of)?;
        let on_demand = sale.on_demand?.micro_usd;
        let (saving, basis) = match sale.advice {
            Some(advice) => (advice.saving_percent, SpotBasis::Advisor),
            None => (assumed_saving_percent, SpotBasis::Assumed),
        };
        let micro_usd = (on_demand * (100 - saving.clamp(0, 100)) + 50) / 100;
        Some(SpotPrice { micro_usd, basis })
    }

    /// True iff any type has a price here.
    pub fn is_priced(&self) -> bool {
        self.sales.iter().any(|sale| sale.on_demand.is_some())
    }
}

/// Micro-USD as the `f64` that Karpenter compares.
pub fn usd(micro_usd: i64) -> f64 {
    micro_usd as f64 / 1e6
}

impl Catalog {
    /// The position of a type.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.types.binary_search_by(|facts| facts.name.as_str().cmp(name)).ok()
    }

    /// The facts of a type.
    pub fn facts(&self, name: &str) -> Option<&TypeFacts> {
        self.position(name).map(|i| &self.types[i])
    }

    /// The same catalogue with the instance types of some families alone. Its digest stays that of the whole table.
    pub fn of_families(&self, families: &[&str]) -> Catalog {
        let is_kept = |facts: &TypeFacts| families.contains(&facts.family());
        let kept: Vec<usize> = (0..self.types.len()).filter(|i| is_kept(&self.types[*i])).collect();
        let region = |region: &Region| {
            let spot = |new: usize, old: usize| {
                let prices = region.zonal_spot.range((old as u32, 0)..(old as u32 + 1, 0));
                prices.map(move |((_, zone), price)| ((new as u32, *zone), *price))
            };
            let places = kept.iter().enumerate();
            Region {
                name: region.name.clone(),
                zones: region.zones.clone(),
                sales: kept.iter().map(|i| region.sales[*i]).collect(),
                zonal_spot: places.flat_map(|(new, old)| spot(new, *old)).collect(),
            }
        };
        Catalog {
            date: self.date.clone(),
            sources: self.sources.clone(),
            types: kept.iter().map(|i| self.types[*i].clone()).collect(),
            regions: self.regions.iter().map(region).collect(),
            digest: self.digest,
        }
    }

    /// A region.
    pub fn region(&self, name: &str) -> Option<&Region> {
        let found = self.regions.binary_search_by(|region| region.name.as_str().cmp(name));
        found.ok().map(|i| &self.regions[i])
    }

    /// What prices are, for reports: `on-demand list us-west-2, table of 2026-07`.
    pub fn price_list(&self, region: &str) -> String {
        format!("on-demand list {region}, table of {}", self.date)
    }

    /// How well the on-demand prices of these types are known: numbers of types by basis, the most certain first. Types
    /// without a price are left out.
    pub fn price_basis<'a>(
        &self,
        region: &str,
        types: impl Iterator<Item = &'a str>,
    ) -> Vec<(PriceBasis, usize)> {
        let Some(region) = self.region(region) else { return Vec::new() };
        let mut counts: BTreeMap<PriceBasis, usize> = BTreeMap::new();
        for name in types {
            let sale = self.position(name).and_then(|i| region.sales[i].on_demand);
            if let Some(price) = sale {
                *counts.entry(price.basis).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> TypeFacts {
        TypeFacts { name: name.to_owned(), ..TypeFacts::default() }
    }

    /// The examples of karpenter-provider-aws v1.14.1's name pattern.
    #[test]
    fn names_have_category_generation_family_and_size() {
        for (name, expected, family) in [
            ("m5.large", Some(("m", "5")), "m5"),
            ("c7i-flex.large", Some(("c", "7")), "c7i-flex"),
            ("u-6tb1.56xlarge", Some(("u", "1")), "u-6tb1"),
            ("u7i-12tb.224xlarge", Some(("u", "7")), "u7i-12tb"),
            ("inf2.xlarge", Some(("inf", "2")), "inf2"),
            ("x2gd.metal", Some(("x", "2")), "x2gd"),
            ("hpc7a.96xlarge", Some(("hpc", "7")), "hpc7a"),
            ("trn1n.32xlarge", Some(("trn", "1")), "trn1n"),
            ("mac-m4.metal", None, "mac-m4"),
        ] {
            let facts = named(name);
            assert_eq!(facts.category_and_generation(), expected, "{name}");
            assert_eq!(facts.family(), family);
        }
        assert!(named("c7i-flex.large").is_flex() && !named("c7i.large").is_flex());
    }

    #[test]
    fn some_families_keep_their_facts() {
        let sale = |zones| Sale { zones, ..Sale::default() };
        let whole = Catalog {
            types: ["a1.large", "b2.large", "c3.large"].map(named).to_vec(),
            regions: vec![Region {
                sales: vec![sale(1), sale(2), sale(3)],
                zonal_spot: [((0, 0), 10), ((1, 1), 20), ((2, 0), 30), ((2, 1), 31)].into(),
                ..Region::default()
            }],
            ..Catalog::default()
        };
        let some = whole.of_families(&["a1", "c3"]);
        let names: Vec<&str> = some.types.iter().map(|facts| facts.name.as_str()).collect();
        assert_eq!(names, ["a1.large", "c3.large"]);
        assert_eq!(some.regions[0].sales, [sale(1), sale(3)]);
        assert_eq!(some.regions[0].zonal_spot, [((0, 0), 10), ((1, 0), 30), ((1, 1), 31)].into());
    }

    #[test]
    fn spot_prices_prefer_the_zone_then_the_advisor_then_the_assumption() {
        let advice =
            |saving_percent| Some(SpotAdvice { saving_percent, reclaim: ReclaimBand::Below5 });
        let on_demand = Some(OnDemand { micro_usd: 85_000, basis: PriceBasis::Listed });
        let region = Region {
            sales: vec![
                Sale { zones: 3, on_demand, advice: advice(59) },
                Sale { zones: 1, on_demand, advice: advice(-20) },
                Sale { zones: 1, on_demand, advice: None },
                Sale { zones: 1, on_demand: None, advice: advice(59) },
            ],
            zonal_spot: [((0, 1), 40_000)].into(),
            ..Region::default()
        };
        let price = |of, zone| region.spot_price(of, zone, 60).map(|p| (p.micro_usd, p.basis));
        assert_eq!(price(0, 0), Some((34_850, SpotBasis::Advisor)));
        assert_eq!(price(0, 1), Some((40_000, SpotBasis::Zonal)));
        assert_eq!(price(1, 0), Some((85_000, SpotBasis::Advisor)), "never above on-demand");
        assert_eq!(price(2, 0), Some((34_000, SpotBasis::Assumed)));
        assert_eq!(price(3, 0), None);
    }
}
