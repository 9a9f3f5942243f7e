//! The project's own commands: `cargo xtask <command>`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks to the terminal"
)]

mod bench;
mod bench_auth;
mod bench_edge;
mod check;
mod commands;
mod down;
mod fuzz;
mod fuzz_api;
mod lock;
mod openapi;
mod run;
mod sqlx_data;
mod test;
mod test_faults;
mod test_isolation;
mod tools;
mod up;

use std::{env, process::ExitCode};

/// One thread: a command does one thing after another.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match commands::dispatch(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
