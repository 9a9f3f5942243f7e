//! `make bench-edge`: what the edge costs, with a service behind it that answers from memory; beside it Envoy doing the same
//! and a bare Actix server as the ceiling, all in one run.

mod answering;
mod ceiling;
mod children;
mod envoy;
mod measure;
mod messages;

use std::{env, path::PathBuf};

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["answering", folder] => answering::run(&PathBuf::from(folder), 0, answering::Pace::FREE),
        ["ceiling"] => ceiling::run(),
        [binaries, filters @ ..] => measure::run(&PathBuf::from(binaries), filters),
        [] => bail!("usage: edge <folder of the binaries> [word of a call or server]..."),
    }
    .context("measuring the edge")
}
