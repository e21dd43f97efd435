//! The two output streams: colour, width, closed pipes.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;

use super::args::{ColorChoice, Diagnostics as Form, Global};
use crate::diagnostic::{Diagnostics, Severity};
use crate::report::diagnostic::{Colour, render, render_json};

/// Columns without a terminal.
const DEFAULT_WIDTH: u16 = 100;

/// What the output streams can do, and how much the user wants to hear.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    stderr_colour: Colour,
    form: Form,
    /// Nothing but the result and errors.
    pub quiet: bool,
    /// Notes too.
    pub verbose: bool,
    /// The decision trace too.
    pub traces: bool,
    /// Only ASCII in tables.
    pub ascii: bool,
    /// Columns of stdout.
    pub width: u16,
}

impl Terminal {
    /// The streams as they are, and the options.
    pub fn new(options: &Global) -> Terminal {
        let colour = |is_terminal: bool| match options.color {
            ColorChoice::Always => Colour::On,
            ColorChoice::Never => Colour::Off,
            ColorChoice::Auto if colour_by_default(is_terminal) => Colour::On,
            ColorChoice::Auto => Colour::Off,
        };
        Terminal {
            stderr_colour: colour(io::stderr().is_terminal()),
            form: options.diagnostics,
            quiet: options.quiet,
            verbose: options.verbose > 0,
            traces: options.verbose > 1,
            ascii: options.ascii,
            width: width(),
        }
    }

    /// The result: text on stdout.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Text on stderr that `--quiet` silences.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.complain(text);
        }
    }

    /// Text on stderr. A stderr that is closed is no problem.
    pub fn complain(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// An error of the environment, with its causes.
    pub fn error(&self, error: &anyhow::Error) {
        self.complain(&format!("error: {error:#}"));
    }

    /// All problems: errors always, warnings and notes unless `--quiet`; notes in one line each unless `--verbose`.
    pub fn diagnostics(&self, diagnostics: &Diagnostics) {
        let long = |severity: Severity| match severity {
            Severity::Error => true,
            Severity::Warning => !self.quiet,
            Severity::Note => self.verbose && !self.quiet,
        };
        match self.form {
            Form::Text => {
                let text = render(&diagnostics.only(long), self.stderr_colour);
                if !text.is_empty() {
                    self.complain(text.trim_end());
                }
                let mut errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
                if let Some(error) = errors.next() {
                    self.say(&format!("More about it: karpsim explain {}", error.code));
                }
                let notes = diagnostics.iter().filter(|d| d.severity == Severity::Note);
                for note in notes.filter(|_| !self.verbose) {
                    let place = note.span().map(|span| diagnostics.sources.place(span));
                    let place = place.map_or(String::new(), |place| format!("{place}: "));
                    self.say(&format!("note[{}]: {place}{}", note.code, note.message));
                }
            }
            Form::Json => {
                let text = render_json(
                    &diagnostics.only(|severity| severity == Severity::Error || !self.quiet),
                );
                if !text.is_empty() {
                    self.complain(text.trim_end());
                }
            }
        }
    }
}

/// NO_COLOR beats FORCE_COLOR, which beats the kind of stream.
fn colour_by_default(is_terminal: bool) -> bool {
    let set =
        |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if set("NO_COLOR") {
        return false;
    }
    if set("FORCE_COLOR") || set("CLICOLOR_FORCE") {
        return true;
    }
    is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn width() -> u16 {
    terminal_size::terminal_size_of(io::stdout()).map_or(DEFAULT_WIDTH, |(width, _)| width.0)
}

/// The reader of stdout went away: not our problem.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
