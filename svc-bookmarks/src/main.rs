//! The process svc-bookmarks.

use std::process::ExitCode;

use svc_bookmarks::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main(
        "svc-bookmarks",
        "BOOKMARKS",
        Config::from_environment,
        svc_bookmarks::migrate,
        svc_bookmarks::run,
    )
}
