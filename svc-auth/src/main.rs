//! The process svc-auth.

use std::process::ExitCode;

use service::process::{self, Command};
use svc_auth::{Config, MakeAdminConfig, VerifyAuditConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let verify_audit = Command {
        name: "verify-audit",
        argument: None,
        run: |name, _| process::run_command(name, VerifyAuditConfig::from_environment, svc_auth::verify_audit),
    };
    let make_admin = Command {
        name: "make-admin",
        argument: Some("email"),
        run: |name, email| {
            process::run_command(name, MakeAdminConfig::from_environment, async |config| {
                svc_auth::make_admin(config, email).await
            })
        },
    };
    process::main_with(
        &[verify_audit, make_admin],
        "svc-auth",
        "AUTH",
        Config::from_environment,
        svc_auth::migrate,
        svc_auth::run,
    )
}
