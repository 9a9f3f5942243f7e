//! The edge's process. `edge-gateway openapi` prints the OpenAPI document instead.

use std::io::{self, Write};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("openapi") {
        return print_openapi();
    }
    service::process::main_without_database(
        "edge-gateway",
        "EDGE",
        edge_gateway::Config::from_environment,
        edge_gateway::run,
    )
}

fn print_openapi() -> ExitCode {
    let printed = edge_gateway::contract_document().map(|document| io::stdout().write_all(&document));
    match printed {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}
