//! The EC2 catalogue for people: the instance types of a region with what they leave to pods and what they cost,
//! filtered and sorted.
//!
//! [`Filter::parse`] and [`Order::parse`] read `vcpu>=4,arch=arm64` and `-price`; [`listing`] makes the rows;
//! [`Listing::table`] and [`Listing::json`] write them.

mod filter;
mod render;

pub use filter::{Filter, KEYS, Order};

use crate::ec2::catalog::{
    Catalog, OnDemand, PriceBasis, Region, SpotAdvice, SpotPrice, TypeFacts,
};
use crate::ec2::node_class::{AmiFamily, NodeClass};
use crate::ec2::overhead;
use crate::ec2::provider::{Options, can_launch};
use crate::units::ResourceVec;

/// What is listed.
#[derive(Clone, Debug)]
pub struct Query<'q> {
    /// The region.
    pub region: &'q Region,
    /// Whose nodes: it decides what is left to pods.
    pub ami_family: AmiFamily,
    /// Which types.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// At most so many.
    pub limit: Option<usize>,
}

/// An instance type in a region.
#[derive(Clone, Debug)]
pub struct Row<'c> {
    /// What EC2 says of it.
    pub facts: &'c TypeFacts,
    /// What pods may request on a node.
    pub allocatable: ResourceVec,
    /// The on-demand price.
    pub on_demand: Option<OnDemand>,
    /// The lowest spot price of all zones.
    pub spot: Option<SpotPrice>,
    /// The Spot Advisor's line.
    pub advice: Option<SpotAdvice>,
    /// Names of the zones that offer it, ascending.
    pub zones: Vec<&'c str>,
}

impl Row<'_> {
    /// Per cent that spot is below on-demand; `None` without a spot price.
    pub fn saving_percent(&self) -> Option<f64> {
        let (on_demand, spot) = self.on_demand.zip(self.spot)?;
        Some(100.0 - 100.0 * spot.micro_usd as f64 / on_demand.micro_usd as f64)
    }
}

/// The types that a query finds.
#[derive(Clone, Debug)]
pub struct Listing<'c> {
    /// The region's name.
    pub region: &'c str,
    /// The AMI family of the nodes.
    pub ami_family: AmiFamily,
    /// What the prices are.
    pub price_list: String,
    /// The types, in order, without those beyond the limit.
    pub rows: Vec<Row<'c>>,
    /// Types that match, also those beyond the limit.
    pub matching: usize,
    /// Types that the region has for the family.
    pub of: usize,
    /// The catalogue's digest.
    pub digest: u64,
}

impl Listing<'_> {
    /// How well the on-demand prices of the rows are known: numbers of types by basis, the most certain first.
    pub fn price_basis(&self) -> Vec<(PriceBasis, usize)> {
        let count = |basis| {
            let known = self.rows.iter().filter_map(|row| row.on_demand);
            (basis, known.filter(|price| price.basis == basis).count())
        };
        PriceBasis::ALL.map(count).into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// The types of a region that Karpenter lists, that boot an AMI of the family and that the query wants.
pub fn listing<'c>(catalog: &'c Catalog, query: &Query<'c>) -> Listing<'c> {
    let region = query.region;
    let class = NodeClass { ami_family: Some(query.ami_family), ..NodeClass::default() };
    let sold = |(i, facts): &(usize, &TypeFacts)| {
        facts.listed && region.sales[*i].zones != 0 && can_launch(&class, facts)
    };
    let types = catalog.types.iter().enumerate().filter(sold);
    let all: Vec<Row<'c>> = types.map(|(i, facts)| row(region, i, facts, &class)).collect();
    let of = all.len();
    let mut rows: Vec<Row<'c>> = all.into_iter().filter(|row| query.filter.admits(row)).collect();
    query.order.sort(&mut rows);
    let matching = rows.len();
    rows.truncate(query.limit.unwrap_or(usize::MAX));
    Listing {
        region: &region.name,
        ami_family: query.ami_family,
        price_list: catalog.price_list(&region.name),
        rows,
        matching,
        of,
        digest: catalog.digest,
    }
}

fn row<'c>(region: &'c Region, i: usize, facts: &'c TypeFacts, class: &NodeClass) -> Row<'c> {
    let options = Options::default();
    let sale = &region.sales[i];
    let saving = options.assumed_spot_saving_percent;
    let spot = region.zones_of(i).filter_map(|zone| region.spot_price(i, zone, saving));
    let capacity = overhead::capacity(facts, class, &options);
    Row {
        facts,
        allocatable: overhead::allocatable(facts, class, &options, &capacity),
        on_demand: sale.on_demand.filter(|_| facts.on_demand),
        spot: spot.min_by_key(|price| price.micro_usd).filter(|_| facts.spot),
        advice: sale.advice,
        zones: region.zones_of(i).map(|zone| region.zones[zone].name.as_str()).collect(),
    }
}
