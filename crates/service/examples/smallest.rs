//! The smallest service: one RPC, one variable of its own. The tests of `service::process` run it.

use std::process::ExitCode;

use bookmesh_proto::enrich::v1::{
    Enrichment, GetEnrichmentRequest,
    enrichment_service_server::{EnrichmentService, EnrichmentServiceServer},
};
use service::{
    Routes, Service, caller,
    config::{Environment, ServiceConfig},
    identity::{ServiceSigner, Verifier},
    process,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

const NAME: &str = "smallest";

fn main() -> ExitCode {
    process::main_without_database(NAME, "SMALLEST", Config::from_environment, run)
}

struct Config {
    service: ServiceConfig,
    auth_address: String,
    signer: ServiceSigner,
    summary: String,
}

impl Config {
    fn from_environment(environment: &mut Environment) -> Option<Self> {
        let service = ServiceConfig::from_environment(environment, "SMALLEST");
        let auth_address = environment.required("BOOKMESH_AUTH_ADDRESS");
        let signer = environment.parsed_file("SMALLEST_SERVICE_KEY", |pem| ServiceSigner::new(NAME, pem));
        let summary = environment.required("SMALLEST_SUMMARY");
        Some(Self {
            service: service?,
            auth_address: auth_address?,
            signer: signer?,
            summary: summary?,
        })
    }
}

async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let service = Service::start(NAME, &config.service, shutdown).await?;
    let verifier = Verifier::remote(NAME, &config.auth_address, config.service.service_keys, config.signer)?;
    let summary = config.summary;
    let routes = Routes::new(EnrichmentServiceServer::new(Enrichments { summary }));
    service.serve(listener, verifier, routes).await
}

struct Enrichments {
    summary: String,
}

#[tonic::async_trait]
impl EnrichmentService for Enrichments {
    async fn get_enrichment(&self, request: Request<GetEnrichmentRequest>) -> Result<Response<Enrichment>, Status> {
        let owner = caller::owner(&request)?;
        tracing::info!(owner.id = %owner, "asked");
        Ok(Response::new(Enrichment {
            bookmark_id: request.into_inner().bookmark_id,
            summary: self.summary.clone(),
            ..Enrichment::default()
        }))
    }
}
