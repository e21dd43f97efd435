//! Progress of a run on stderr, and the wish to stop.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::ProgressForm;
use super::terminal::Terminal;
use crate::units::{SimDuration, SimTime};

/// A run that ends sooner shows no progress.
const FIRST_DRAW: Duration = Duration::from_millis(300);
const DRAWS_PER_SECOND: u8 = 10;

/// SIGINT or SIGTERM: the first one ends the run in order, a second one at once.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Catches the signals from now on.
    pub fn catch() -> Result<Signals> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::flag;
        let signals = Signals::default();
        let again = Arc::new(std::sync::atomic::AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds `again` unset and sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, again.clone())
                .and_then(|_| flag::register(signal, again.clone()))
                .and_then(|_| flag::register_usize(signal, signals.0.clone(), signal as usize))
                .context("signals cannot be caught")?;
        }
        Ok(signals)
    }

    /// The signal that came, if one did.
    pub fn caught(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|signal| *signal > 0)
    }
}

/// The progress line of one run.
pub struct Progress {
    bar: ProgressBar,
    form: ProgressForm,
    horizon: SimTime,
    shown: bool,
    tenths: i64,
    signals: Signals,
}

impl Progress {
    /// Progress towards `horizon`.
    pub fn new(
        form: ProgressForm,
        horizon: SimTime,
        terminal: &Terminal,
        signals: Signals,
    ) -> Progress {
        let form = if terminal.quiet { ProgressForm::None } else { form };
        let bar =
            ProgressBar::with_draw_target(Some(horizon.ms() as u64), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg}  {percent}%  ETA {eta}") {
            bar.set_style(style);
        }
        Progress { bar, form, horizon, shown: false, tenths: 0, signals }
    }

    /// The run is at `at`. `Break` when a signal came.
    pub fn advance(&mut self, at: SimTime, events: u64) -> ControlFlow<()> {
        match self.form {
            ProgressForm::Auto => self.draw(at, events),
            ProgressForm::Plain => self.say(at, events),
            ProgressForm::None => {}
        }
        match self.signals.caught() {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn draw(&mut self, at: SimTime, events: u64) {
        if !self.shown && self.bar.elapsed() > FIRST_DRAW {
            // indicatif draws on a terminal only.
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
            self.shown = true;
        }
        self.bar.set_position(at.ms() as u64);
        if self.shown {
            let seconds = self.bar.elapsed().as_secs_f64();
            let rate = events as f64 / seconds / 1e6;
            self.bar.set_message(format!("t={at} of {}  {rate:.1}M ev/s", self.horizon));
        }
    }

    fn say(&mut self, at: SimTime, events: u64) {
        let tenths = at.ms() * 10 / self.horizon.ms().max(1);
        if tenths > self.tenths {
            self.tenths = tenths;
            eprintln!("t={at} of {}  {}0%  {events} events", self.horizon, tenths);
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// The progress line of many runs, from all threads.
pub struct Runs {
    bar: ProgressBar,
    form: ProgressForm,
    total: usize,
    done: AtomicUsize,
    drawn: AtomicBool,
}

impl Runs {
    /// Progress of `total` runs that each last `span`.
    pub fn new(form: ProgressForm, total: usize, span: SimDuration, terminal: &Terminal) -> Runs {
        let form = if terminal.quiet { ProgressForm::None } else { form };
        let length = span.ms() as u64 * total as u64;
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("[{msg}]  {percent}%  ETA {eta}") {
            bar.set_style(style);
        }
        bar.set_message(format!("run 0/{total}"));
        let (done, drawn) = (AtomicUsize::new(0), AtomicBool::new(false));
        Runs { bar, form, total, done, drawn }
    }

    /// A run came this much further.
    pub fn advance(&self, by: SimDuration) {
        if self.form != ProgressForm::Auto {
            return;
        }
        let due = self.bar.elapsed() > FIRST_DRAW;
        if due && !self.drawn.swap(true, Ordering::Relaxed) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        }
        self.bar.inc(by.ms().max(0) as u64);
    }

    /// A run ended.
    pub fn count(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.set_message(format!("run {done}/{}", self.total));
        let tenth = |count: usize| count * 10 / self.total.max(1);
        if self.form == ProgressForm::Plain && tenth(done) > tenth(done - 1) {
            eprintln!("run {done}/{}", self.total);
        }
    }

    /// Does what writes to the terminal, with the line out of its way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
