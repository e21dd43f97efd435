//! The command line (layer 10): arguments in, text and files out. The only place that reads the environment, writes
//! files and looks at the wall clock.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod catalog;
mod check;
mod compare;
mod conformance;
mod explain;
mod fuzz;
mod init;
mod input;
mod output;
mod progress;
mod run;
mod shell;
mod study;
mod sweep;
mod terminal;

use args::{Arguments, Verb};
use terminal::Terminal;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Done,
    /// It could not be done: a file that cannot be written, an invariant that broke.
    Failed,
    /// The command line or the input is wrong; diagnostics say where.
    BadInput,
    /// A recorded case differs from what Karpenter decided.
    Differs,
    /// The run ended but is flagged unusable under `--strict`.
    Unusable,
    /// Ended by a signal of this number; what there was is written.
    Interrupted(u8),
}

impl Exit {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::BadInput => 2,
            Exit::Differs => 3,
            Exit::Unusable => 5,
            Exit::Interrupted(signal) => 128 + signal,
        }
    }
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::BadInput } else { Exit::Done };
            // A closed pipe is no reason to complain.
            let _ = error.print();
            return ExitCode::from(exit.code());
        }
    };
    let terminal = Terminal::new(&arguments.global);
    let outcome = match &arguments.verb {
        Verb::Run(options) => run::run(options, &terminal),
        Verb::Compare(options) => compare::compare(options, &terminal),
        Verb::Sweep(options) => sweep::sweep(options, &terminal),
        Verb::Explain(options) => explain::explain(options, &terminal),
        Verb::Check(options) => check::check(options, &terminal),
        Verb::Conformance(options) => conformance::conformance(options, &terminal),
        Verb::Catalog(options) => catalog::catalog(options, &terminal),
        Verb::Init(options) => init::init(options, &terminal),
        Verb::Fuzz(options) => fuzz::fuzz(options, &terminal),
        Verb::Completions(options) => shell::completions(options, &terminal),
        Verb::Man(options) => shell::man(options, &terminal),
    };
    let exit = outcome.unwrap_or_else(|error| {
        if terminal::is_closed_pipe(&error) {
            return Exit::Done;
        }
        terminal.error(&error);
        Exit::Failed
    });
    ExitCode::from(exit.code())
}
