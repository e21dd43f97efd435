//! Replays recorded decisions of Karpenter: `conformance [--json] [--time] [--case NAME] PATH...`.
// Only the time of a decision is measured, and only on request.
#![allow(clippy::disallowed_types)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use karpsim::conformance::{self, Options};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut json, mut time, mut case, mut paths) = (false, false, None, Vec::new());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => json = true,
            "--time" => time = true,
            "--case" => case = args.next(),
            _ => paths.push(PathBuf::from(arg)),
        }
    }
    let start = Instant::now();
    let clock = move || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let clock: Option<&dyn Fn() -> u64> = if time { Some(&clock) } else { None };
    let report = conformance::run(&paths, &Options { case: case.as_deref(), clock });
    if json {
        println!("{:#}", report.to_json());
    } else {
        print!("{}", report.to_text(case.is_some(), time));
    }
    ExitCode::from(if report.total().different > 0 { 3 } else { 0 })
}
