//! The process svc-enrich.

use std::process::ExitCode;

use svc_enrich::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main(
        svc_enrich::NAME,
        "ENRICH",
        Config::from_environment,
        svc_enrich::migrate,
        svc_enrich::run,
    )
}
