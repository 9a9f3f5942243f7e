//! The project's own commands: `cargo xtask <command>`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks to the terminal"
)]

mod run;
mod sqlx_data;

use std::{env, process::ExitCode};

use anyhow::bail;

const COMMANDS: &str = "commands: sqlx";

/// One thread: the commands do one thing after another.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match dispatch().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch() -> anyhow::Result<()> {
    env::set_current_dir(run::workspace())?;
    let mut arguments = env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match command.as_str() {
        "sqlx" => sqlx_data::update(&rest).await,
        "" => bail!("which command? {COMMANDS}"),
        unknown => bail!("no command {unknown:?}; {COMMANDS}"),
    }
}
