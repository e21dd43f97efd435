//! `karpsim catalog`: the instance types of a region with what they leave to pods and what they cost.

use anyhow::Result;

use super::Exit;
use super::args::CatalogOptions;
use super::terminal::Terminal;
use crate::diagnostic::{self, Diagnostics, Span};
use crate::ec2::Catalog;
use crate::ec2::node_class::AmiFamily;
use crate::report::catalog::{Filter, Order, Query, listing};
use crate::scenario::catalog::embedded;

/// Prints the types that the options ask for.
pub fn catalog(options: &CatalogOptions, terminal: &Terminal) -> Result<Exit> {
    let mut diagnostics = Diagnostics::default();
    let query = query(options, embedded(), &mut diagnostics);
    terminal.diagnostics(&diagnostics);
    let Some(query) = query else { return Ok(Exit::BadInput) };
    let listing = listing(embedded(), &query);
    let text = if options.json { format!("{:#}\n", listing.json()) } else { listing.table() };
    terminal.print(&text)?;
    Ok(Exit::Done)
}

/// The query of the options; `None` when any of them is wrong.
fn query<'c>(
    options: &CatalogOptions,
    catalog: &'c Catalog,
    diagnostics: &mut Diagnostics,
) -> Option<Query<'c>> {
    let mut source = |name: &str, text: &str| {
        let source = diagnostics.sources.add(&format!("<command line>: {name}"), text.to_owned());
        (source, Span { source, start: 0, end: text.len() })
    };
    let (_, region_place) = source("--region", &options.region);
    let (_, family_place) = source("--ami-family", &options.ami_family);
    let (sort, _) = source("--sort", &options.sort);
    let (filter, _) = source("filter", &options.filter);
    let region = catalog.region(&options.region);
    if region.is_none() {
        let names = catalog.regions.iter().map(|region| region.name.as_str());
        let problem = diagnostic::unknown_region(region_place, &options.region);
        diagnostics.push(problem.suggest(&options.region, names));
    }
    let wanted = options.ami_family.to_lowercase();
    let family = AmiFamily::NAMES.iter().find(|(name, _)| name.to_lowercase() == wanted);
    if family.is_none() {
        let names = AmiFamily::NAMES.iter().map(|(name, _)| *name);
        let list = names.clone().collect::<Vec<_>>().join(", ");
        let problem = diagnostic::unknown_value(family_place, "--ami-family", &options.ami_family);
        let problem = problem.help(format!("the families are {list}"));
        diagnostics.push(problem.suggest(&options.ami_family, names));
    }
    let order = Order::parse(sort, diagnostics);
    // Zones in the filter are those of the region; without it there is nothing to check them against.
    let region = region?;
    let filter = Filter::parse(filter, region, diagnostics);
    let (_, ami_family) = *family?;
    Some(Query { region, ami_family, filter: filter?, order: order?, limit: options.limit })
}
