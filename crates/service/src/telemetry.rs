//! Logs as JSON lines on stderr, and spans to a collector when there is one.

mod gathered;
mod lines;

use std::{
    io::{self, Stderr},
    panic,
    time::Duration,
};

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use self::{gathered::GatheredLines, lines::JsonLines};
use crate::config::Environment;

/// Actix logs each connection that does not speak HTTP as an error; anyone could fill the log, and nobody needs to act.
const DEFAULT_FILTER: &str = "info,actix_http::h1=off";
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// What is logged, and where spans go.
#[derive(Debug)]
pub struct TelemetryConfig {
    filter: EnvFilter,
    collector: Option<String>,
}

/// Running telemetry.
pub struct Telemetry {
    spans: SdkTracerProvider,
    lines: GatheredLines<Stderr>,
}

impl TelemetryConfig {
    /// Reads `BOOKMESH_LOG` and `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn from_environment(environment: &mut Environment) -> Option<Self> {
        let filter = environment.or("BOOKMESH_LOG", EnvFilter::new(DEFAULT_FILTER));
        let collector = environment.optional("OTEL_EXPORTER_OTLP_ENDPOINT");
        Some(Self {
            filter: filter?,
            collector: collector?,
        })
    }
}

impl Telemetry {
    /// Starts telemetry for the whole process. Needs a running tokio runtime when there is a collector.
    pub fn start(name: &'static str, config: TelemetryConfig) -> anyhow::Result<Self> {
        let lines = GatheredLines::start(io::stderr())?;
        let collected = collected_spans(config.collector.is_some());
        let provider = provider(name, config.collector.as_deref())?;
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(name))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        tracing_subscriber::registry()
            .with(spans.with_filter(collected))
            .with(JsonLines::new(name, lines.clone()).with_filter(config.filter))
            .try_init()
            .context("installing telemetry")?;
        log_panics();
        Ok(Self { spans: provider, lines })
    }

    /// Sends what the collector has not got yet, and writes the last lines.
    pub async fn stop(self) {
        // The exporter needs this thread's runtime to make progress while it is waited for.
        let flushed = tokio::task::spawn_blocking(move || self.spans.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(error = %error, "spans could not be sent to the collector");
        }
        self.lines.flush();
    }
}

/// With a collector, our own spans of every request too; those of libraries are too many.
fn collected_spans(has_collector: bool) -> Targets {
    let everything = Targets::new().with_default(LevelFilter::INFO);
    if has_collector {
        everything.with_target("edge_gateway", LevelFilter::DEBUG)
    } else {
        everything
    }
}

/// In place of the standard text on stderr, which no reader of JSON lines understands.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("no message");
        tracing::error!(location, panic = message, "panicked");
    }));
}

/// Without a collector spans get ids, for logs and callees, but are not recorded.
fn provider(name: &'static str, collector: Option<&str>) -> anyhow::Result<SdkTracerProvider> {
    let builder = SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name(name).build());
    let Some(endpoint) = collector else {
        return Ok(builder.with_sampler(Sampler::AlwaysOff).build());
    };
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .context("setting up the exporter to OTEL_EXPORTER_OTLP_ENDPOINT")?;
    Ok(builder.with_batch_exporter(exporter).build())
}
