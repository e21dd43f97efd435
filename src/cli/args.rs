//! The command line's grammar.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::outcome::Breakdown;
use crate::report::png::PngOptions;
use crate::units::SimDuration;

/// A dry run for Karpenter: what a NodePool policy costs, how many nodes it needs and how often it moves pods.
#[derive(Debug, Parser)]
#[command(name = "karpsim", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Options of every verb.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every verb.
#[derive(Args, Debug)]
pub struct Global {
    /// When to colour output; NO_COLOR and FORCE_COLOR are respected
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, global = true, value_name = "WHEN")]
    pub color: ColorChoice,
    /// Only ASCII in tables
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Nothing but the result and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more: notes about fields without effect; twice: what the disruption loop weighs
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t = Diagnostics::Text, global = true, value_name = "FORM")]
    pub diagnostics: Diagnostics,
}

/// When to colour output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How problems are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Diagnostics {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a scenario: print the answer, write picture, tables and log
    Run(RunOptions),
    /// Compare policies on the same random worlds
    Compare(CompareOptions),
    /// Run a grid of axes, policies and replications in parallel
    Sweep(SweepOptions),
    /// Say why: a node, a pod, a command or a time of a stored result; or what a diagnostic means
    Explain(ExplainOptions),
    /// Check a scenario without running it
    Check(CheckOptions),
    /// List EC2 instance types: what they leave to pods, what they cost, where
    Catalog(CatalogOptions),
    /// Write the EKS workshop's scenario with its manifests, to start from
    Init(InitOptions),
    /// Replay recorded decisions of Karpenter and print the agreement
    Conformance(ConformanceOptions),
    /// Run random clusters under all invariants
    #[command(hide = true)]
    Fuzz(FuzzOptions),
    /// Print a completion script
    Completions(CompletionsOptions),
    /// Write man pages
    Man(ManOptions),
}

/// `karpsim init`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim init
  karpsim init my-cluster
  karpsim init my-cluster && karpsim run my-cluster/eks-workshop.ron")]
pub struct InitOptions {
    /// Where to write
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
}

/// `karpsim conformance`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim conformance tests/conformance
  karpsim conformance tests/conformance/provision.jsonl.gz --case basic-1
  karpsim conformance recordings --json | jq .total
  karpsim conformance bench/bench-diverse-1000.json.gz --time

Exit code 3 when a case differs from what Karpenter decided.")]
pub struct ConformanceOptions {
    /// Recordings, or folders of them: .json, .jsonl, also with .gz
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Print the agreement as JSON
    #[arg(long)]
    pub json: bool,
    /// Only this case, with every difference
    #[arg(long, value_name = "NAME")]
    pub case: Option<String>,
    /// Print the time that each decision took
    #[arg(long)]
    pub time: bool,
}

/// `karpsim catalog`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim catalog 'vcpu>=4,arch=arm64' --region eu-west-1 --sort price
  karpsim catalog 'family=m5|m6i|m7i,size=large' --ami-family Bottlerocket
  karpsim catalog 'gpu>=1,zone=us-east-1a' --sort spot --limit 10
  karpsim catalog 'memory>=64Gi,!metal,capacity=spot' --sort -saving --json")]
pub struct CatalogOptions {
    /// Terms between commas, all of which must hold: KEY OP VALUE with OP of = != >= <= > <, alternatives between |,
    /// texts with * at the end, a flag alone or after !
    #[arg(value_name = "FILTER", default_value = "", hide_default_value = true)]
    pub filter: String,
    /// The region
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    pub region: String,
    /// A key of the filter to sort by, descending with - before it
    #[arg(long, value_name = "KEY", default_value = "name", allow_hyphen_values = true)]
    pub sort: String,
    /// The AMI family, which decides what is left to pods
    #[arg(long, value_name = "FAMILY", default_value = "AL2023")]
    pub ami_family: String,
    /// List at most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `karpsim fuzz`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim fuzz --runs 1000
  karpsim fuzz --seed 123 --runs 1 --plain --write /tmp/case && karpsim run /tmp/case/cluster.ron

Exit code 1 when a run failed.")]
pub struct FuzzOptions {
    /// Seed of the first run; each further run takes the next
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many clusters
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub runs: u64,
    /// Run each a second time without memos and compare what happened
    #[arg(long)]
    pub plain: bool,
    /// End longer runs early
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub until: Option<SimDuration>,
    /// Write the files of the first cluster
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
    /// Threads; 0 for all cores
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = parse_threads)]
    pub jobs: usize,
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value_t = ProgressForm::Auto, value_name = "FORM")]
    pub progress: ProgressForm,
}

/// `karpsim completions`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim completions bash > /etc/bash_completion.d/karpsim
  karpsim completions zsh > ~/.zfunc/_karpsim
  karpsim completions fish > ~/.config/fish/completions/karpsim.fish")]
pub struct CompletionsOptions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `karpsim man`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim man man1
  karpsim man /usr/local/share/man/man1
  karpsim man man1 && man -l man1/karpsim-run.1")]
pub struct ManOptions {
    /// Where to write
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// `karpsim run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim run scenarios/eks-workshop.ron
  karpsim run scenarios/eks-workshop.ron --json | jq .answer
  karpsim run scenarios/eks-workshop.ron --by zone --until 2h --out /tmp/workshop
  karpsim run scenarios/eks-workshop.ron --log json -q | jq 'select(.controller == \"disruption\")'
  kubectl kustomize prod | karpsim run scenarios/eks-workshop.ron --manifests -")]
pub struct RunOptions {
    /// The scenario file, or - for stdin
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// Shared with other verbs.
    #[command(flatten)]
    pub input: InputOptions,
    /// Folder for the files [default: reports/NAME]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Overwrite a folder that karpsim did not make
    #[arg(long)]
    pub force: bool,
    /// Print the result as JSON on stdout
    #[arg(long, conflicts_with = "log")]
    pub json: bool,
    /// Split the bill: pool, type, zone, capacity, namespace, workload or tag:KEY
    #[arg(long, value_name = "KEY", value_parser = parse_by)]
    pub by: Vec<Breakdown>,
    /// Print the controller's log on stdout, and the answer on stderr
    #[arg(long, value_enum, value_name = "FORM")]
    pub log: Option<LogForm>,
    /// End the run early
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub until: Option<SimDuration>,
    /// Do not draw the picture
    #[arg(long)]
    pub no_plot: bool,
    /// Size of the picture in pixels
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "1600x1200")]
    pub png_size: (u32, u32),
    /// Pixels per pixel: 2 for fine screens
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2))]
    pub scale: u32,
    /// Check all invariants of the model after every event
    #[arg(long)]
    pub invariants: bool,
    /// Exit 5 when the result is not to be relied on: pods left pending
    #[arg(long)]
    pub strict: bool,
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value_t = ProgressForm::Auto, value_name = "FORM")]
    pub progress: ProgressForm,
}

/// What several verbs read.
#[derive(Args, Debug)]
pub struct InputOptions {
    /// Further manifests: a file, or - for stdin (kubectl kustomize DIR | karpsim run FILE --manifests -)
    #[arg(long, value_name = "FILE")]
    pub manifests: Vec<PathBuf>,
    /// Seed of all random draws, instead of the scenario's
    #[arg(short, long, value_name = "N")]
    pub seed: Option<u64>,
    /// The policy of the scenario [default: its first]
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// Another value for a field: KIND/NAME:field.path of a manifest, field.path of the scenario
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_set)]
    pub set: Vec<(String, String)>,
}

/// What `compare` and `sweep` share.
#[derive(Args, Debug)]
pub struct StudyOptions {
    /// Runs of each policy, each with a random world of its own [default: the scenario's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub reps: Option<u32>,
    /// Threads; 0 for all cores
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = parse_threads)]
    pub jobs: usize,
    /// Folder for the files [default: reports/NAME]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Overwrite a folder that karpsim did not make
    #[arg(long)]
    pub force: bool,
    /// Print the result as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Size of the picture in pixels
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "1600x1200")]
    pub png_size: (u32, u32),
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value_t = ProgressForm::Auto, value_name = "FORM")]
    pub progress: ProgressForm,
    /// Say how many runs there are and how long they take, and stop
    #[arg(long)]
    pub dry_run: bool,
}

impl StudyOptions {
    /// How pictures are drawn.
    pub fn picture(&self) -> PngOptions {
        let (width, height) = self.png_size;
        PngOptions { width, height, scale: 1 }
    }
}

/// `karpsim compare`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim compare scenarios/eks-workshop-policies.ron
  karpsim compare scenarios/eks-workshop.ron --set NodePool/default:spec.disruption.consolidateAfter=5m --reps 20
  karpsim compare scenarios/eks-workshop-policies.ron --reps 8 --json | jq .answers")]
pub struct CompareOptions {
    /// The scenario file, or - for stdin
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// Shared with other verbs.
    #[command(flatten)]
    pub input: InputOptions,
    /// Shared with sweep.
    #[command(flatten)]
    pub study: StudyOptions,
}

/// `karpsim sweep`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim sweep scenarios/web-diurnal.ron
  karpsim sweep scenarios/eks-workshop.ron --axis NodePool/default:spec.disruption.consolidateAfter=30s,Never --reps 4
  karpsim sweep scenarios/web-diurnal.ron --resume
  karpsim sweep scenarios/eks-workshop.ron --axis Deployment/other/inflate:spec.replicas=1..20:5")]
pub struct SweepOptions {
    /// The scenario file, or - for stdin
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// Shared with other verbs.
    #[command(flatten)]
    pub input: InputOptions,
    /// An axis, instead of the scenario's: values, or numbers or durations from .. to : step
    #[arg(long, value_name = "PATH=V1,V2|LO..HI:STEP", value_parser = parse_axis)]
    pub axis: Vec<(String, Vec<String>)>,
    /// Go on where an earlier sweep into the same folder was stopped
    #[arg(long)]
    pub resume: bool,
    /// Shared with compare.
    #[command(flatten)]
    pub study: StudyOptions,
}

/// `karpsim explain`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim explain reports/eks-workshop
  karpsim explain reports/eks-workshop node/default-00001
  karpsim explain reports/eks-workshop command/0
  karpsim explain reports/eks-workshop --at 2h13m
  karpsim explain reports/eks-workshop-policies --run Balanced command/0
  karpsim explain KS0307

The run is made again from inputs.json of the folder; the scenario's files are not needed.")]
pub struct ExplainOptions {
    /// The folder that karpsim run, compare or sweep wrote, or the code of a diagnostic
    #[arg(value_name = "RESULT|CODE")]
    pub result: PathBuf,
    /// node/NAME, pod/NAMESPACE/NAME, command/ID, or a bare name or number [default: list the commands]
    #[arg(value_name = "WHAT")]
    pub what: Option<String>,
    /// The disruption loop at this time: 2h13m since the start, or 2026-01-05T11:13:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "what", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The run of a comparison or sweep: its number in runs.jsonl, or the policy and values of its first replication
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// The folder of the scenario file, for traces that are too large to be kept in the result
    #[arg(long, value_name = "DIR")]
    pub files: Option<PathBuf>,
}

/// `karpsim check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karpsim check scenarios/eks-workshop.ron
  karpsim check scenarios/eks-workshop.ron --diagnostics json
  kubectl get nodepools,ec2nodeclasses -o yaml | karpsim check scenarios/eks-workshop.ron --manifests -")]
pub struct CheckOptions {
    /// The scenario file, or - for stdin
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// Shared with other verbs.
    #[command(flatten)]
    pub input: InputOptions,
    /// Exit 5 on warnings
    #[arg(long)]
    pub strict: bool,
}

/// The form of the log on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// One line of text an entry
    Text,
    /// One JSON object a line, as Karpenter's controller writes it
    Json,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressForm {
    /// A line that rewrites itself, on a terminal only
    Auto,
    /// One line per tenth
    Plain,
    /// Not at all
    None,
}

fn parse_duration(text: &str) -> Result<SimDuration, String> {
    let parsed = SimDuration::parse(text).filter(|span| *span > SimDuration::ZERO);
    parsed.ok_or_else(|| "write a number with a unit: 30s, 5m, 1h30m, 72h".to_owned())
}

fn parse_set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, value)) if !path.is_empty() => Ok((path.to_owned(), value.to_owned())),
        _ => {
            Err("write PATH=VALUE: NodePool/default:spec.disruption.consolidateAfter=5m".to_owned())
        }
    }
}

fn parse_threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok().filter(|threads| *threads <= 1_024);
    threads.ok_or_else(|| "write a number of threads from 0 to 1024".to_owned())
}

/// Values of an axis at most.
const MOST_VALUES: i64 = 10_000;

fn parse_axis(text: &str) -> Result<(String, Vec<String>), String> {
    let (path, values) = parse_set(text)?;
    let list =
        match values.split_once("..").and_then(|(low, rest)| Some((low, rest.split_once(':')?))) {
            Some((low, (high, step))) => range(low, high, step)?,
            None => split_values(&values),
        };
    match list.iter().all(|value| value.is_empty()) {
        true => Err("an axis needs at least one value: PATH=V1,V2".to_owned()),
        false => Ok((path, list)),
    }
}

/// Whole numbers or durations from `low` to `high`, both included if the step leads there.
fn range(low: &str, high: &str, step: &str) -> Result<Vec<String>, String> {
    let problem =
        || "write LO..HI:STEP with whole numbers or durations, the step above 0".to_owned();
    let number = |text: &str| text.parse::<i64>().ok();
    let duration = |text: &str| SimDuration::parse(text).map(|span| span.ms());
    let numbers = number(low).zip(number(high)).zip(number(step));
    let durations = duration(low).zip(duration(high)).zip(duration(step));
    let Some(((from, to), by)) = numbers.or(durations) else {
        return Err(problem());
    };
    if by <= 0 || to < from || (to - from) / by >= MOST_VALUES {
        return Err(problem());
    }
    let value = |i: i64| match numbers {
        Some(_) => (from + i * by).to_string(),
        None => SimDuration::from_ms(from + i * by).to_string(),
    };
    Ok((0..=(to - from) / by).map(value).collect())
}

/// Splits at commas outside of brackets and quotes.
fn split_values(text: &str) -> Vec<String> {
    let (mut values, mut depth, mut quoted) = (vec![String::new()], 0_usize, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            ',' if depth == 0 && !quoted => {
                values.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = values.last_mut() {
            last.push(c);
        }
    }
    values
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let parts =
        text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let size = parts.filter(|(w, h)| (1200..=8000).contains(w) && (900..=8000).contains(h));
    size.ok_or_else(|| "write WIDTHxHEIGHT, from 1200x900 to 8000x8000".to_owned())
}

fn parse_by(text: &str) -> Result<Breakdown, String> {
    let parsed = Breakdown::parse(text);
    parsed
        .ok_or_else(|| "one of pool, type, zone, capacity, namespace, workload, tag:KEY".to_owned())
}
