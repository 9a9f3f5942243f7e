//! The process svc-auth.

use std::process::ExitCode;

use service::process::{self, Command};
use svc_auth::{Config, VerifyAuditConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let verify_audit = Command {
        name: "verify-audit",
        run: |name| process::run_command(name, VerifyAuditConfig::from_environment, svc_auth::verify_audit),
    };
    process::main_with(
        &[verify_audit],
        "svc-auth",
        "AUTH",
        Config::from_environment,
        svc_auth::migrate,
        svc_auth::run,
    )
}
