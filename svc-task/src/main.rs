//! The process svc-task.

use std::process::ExitCode;

use svc_task::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main(
        "svc-task",
        "TASK",
        Config::from_environment,
        svc_task::migrate,
        svc_task::run,
    )
}
