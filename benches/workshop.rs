//! Whole runs: the EKS workshop's scenario, 80 simulated hours from the loaded scenario to the result, and the
//! recordings of the same NodePool, replayed through all controllers and compared.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use karpsim::conformance;
use karpsim::diagnostic::Diagnostics;
use karpsim::experiment::run::{Checks, run};
use karpsim::outcome::Header;
use karpsim::scenario::{Catalogue, DiskFiles, catalog, load, resolve};
use karpsim::simulation::Config;

fn loaded() -> Option<(Arc<Config>, Header)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/eks-workshop.ron");
    let catalog = catalog::embedded();
    let names = Catalogue::from(catalog);
    let scenario = load(&path, &DiskFiles, &names, &mut Diagnostics::default())?;
    let config = resolve::config(&scenario, catalog);
    let header = resolve::header(&scenario, &config, catalog);
    Some((Arc::new(config), header))
}

/// The run alone.
#[divan::bench]
fn simulate(bencher: divan::Bencher) {
    let (config, header) = loaded().expect("the shipped scenario loads");
    bencher.bench(|| run(config.clone(), header.clone(), Checks::Off, &mut ()));
}

/// Reading scenario, manifests and catalogue, and resolving them.
#[divan::bench]
fn load_and_resolve() -> Option<(Arc<Config>, Header)> {
    loaded()
}

fn recording(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timelines");
    let file = std::fs::File::open(folder.join(name)).expect("the recording is in the repository");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("valid gzip");
    text
}

/// `seed-a` is 73 hours long, `seed-b` two.
#[divan::bench(args = ["seed-a.json.gz", "seed-b.json.gz"])]
fn replay(bencher: divan::Bencher<'_, '_>, name: &str) {
    let text = recording(name);
    bencher.bench(|| conformance::compare(&text).is_ok());
}

fn main() {
    divan::main();
}
