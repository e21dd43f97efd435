//! A switch that makes a Solve evaluate everything anew, without what it remembers and without its shortcuts. Tests
//! compare the two: they must decide the same.

/// True in tests that want the plain evaluation.
#[cfg(test)]
pub(super) fn is_on() -> bool {
    flag::PLAIN.get()
}

/// True in tests that want the plain evaluation: never outside tests.
#[cfg(not(test))]
pub(super) const fn is_on() -> bool {
    false
}

/// Runs something with the plain evaluation on this thread.
#[cfg(test)]
pub(crate) fn evaluated<T>(run: impl FnOnce() -> T) -> T {
    flag::PLAIN.set(true);
    let result = run();
    flag::PLAIN.set(false);
    result
}

// A flag of the test's own thread, which no decision outside of tests reads.
#[cfg(test)]
#[allow(clippy::disallowed_types)]
mod flag {
    thread_local! {
        pub(super) static PLAIN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
}
