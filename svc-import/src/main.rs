//! The process: everything is in the library.

use std::process::ExitCode;

use svc_import::{Config, NAME, migrate, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main(NAME, "IMPORT", Config::from_environment, migrate, run)
}
