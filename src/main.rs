//! The `karpsim` program: maps the outcome of [`karpsim::cli::main`] to an exit code, nothing else.

fn main() -> std::process::ExitCode {
    karpsim::cli::main()
}
