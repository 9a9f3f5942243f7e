//! The process svc-auth.

use std::process::ExitCode;

use svc_auth::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main(
        "svc-auth",
        "AUTH",
        Config::from_environment,
        svc_auth::migrate,
        svc_auth::run,
    )
}
