//! Whole runs: the recordings of the EKS workshop's NodePool, replayed through all controllers and compared.

use std::io::Read;
use std::path::Path;

use karpsim::conformance;

fn main() {
    divan::main();
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
