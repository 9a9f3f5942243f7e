//! Envoy doing what the edge does: tokens checked, rates limited, JSON transcoded, one log line a request.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::children::{self, Process};

const SERVICES: [&str; 2] = ["bookmesh.bookmarks.v1.BookmarkService", "bookmesh.auth.v1.AuthService"];
/// Never reached: what is measured is the counting.
const TOKENS: u32 = 100_000_000;

/// Starts it in front of the service at `upstream`, with the keys in `folder`.
pub fn start(binary: &Path, folder: &Path, upstream: u16, port: u16) -> Result<Process> {
    let descriptors = folder.join("descriptors.bin");
    fs::write(&descriptors, bookmesh_proto::FILE_DESCRIPTOR_SET).context("writing the descriptors")?;
    let keys = fs::read_to_string(folder.join("access.jwks.json")).context("reading the keys")?;
    let config = configuration(&descriptors, &keys, upstream, port, &folder.join("envoy-access.log"));
    let file = folder.join("envoy.json");
    fs::write(&file, config.to_string()).context("writing its configuration")?;
    let mut command = Command::new(binary);
    command
        .arg("--config-path")
        .arg(&file)
        .args(["--log-level", "error", "--disable-hot-restart"]);
    command.args(["--concurrency", &children::cores().to_string()]);
    Process::of_server(&mut command, port, "/v1/jwks-probe", &folder.join("envoy.log"))
}

fn configuration(descriptors: &Path, keys: &str, upstream: u16, port: u16, log: &Path) -> Value {
    let manager = json!({
        "@type": type_of("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "edge",
        "codec_type": "HTTP1",
        "access_log": [access_log(log)],
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [
                {"match": {"path": "/v1/jwks-probe"}, "direct_response": {"status": 200}},
                {"match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": "5s"}},
            ],
        }]},
        "http_filters": [
            {"name": "limit", "typed_config": rate_limit()},
            {"name": "token", "typed_config": tokens(keys)},
            {"name": "transcoder", "typed_config": transcoder(descriptors)},
            {"name": "router", "typed_config": {"@type": type_of("filters.http.router.v3.Router")}},
        ],
    });
    json!({"static_resources": {
        "listeners": [{
            "address": address(port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }],
        "clusters": [{
            "name": "service",
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": type_of("upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": {"http2_protocol_options": {}},
            }},
            "load_assignment": {"cluster_name": "service", "endpoints": [{
                "lb_endpoints": [{"endpoint": {"address": address(upstream)}}],
            }]},
        }],
    }})
}

fn rate_limit() -> Value {
    let always = json!({"default_value": {"numerator": 100}});
    json!({
        "@type": type_of("filters.http.local_ratelimit.v3.LocalRateLimit"),
        "stat_prefix": "limit",
        "token_bucket": {"max_tokens": TOKENS, "tokens_per_fill": TOKENS, "fill_interval": "1s"},
        "filter_enabled": always, "filter_enforced": always,
    })
}

fn tokens(keys: &str) -> Value {
    json!({
        "@type": type_of("filters.http.jwt_authn.v3.JwtAuthentication"),
        "providers": {"ours": {
            "issuer": service::identity::ACCESS_ISSUER,
            "audiences": [service::identity::ACCESS_AUDIENCE],
            "forward": true,
            "local_jwks": {"inline_string": keys},
            "jwt_cache_config": {"jwt_cache_size": 1000},
        }},
        "rules": [{"match": {"prefix": "/v1/bookmarks"}, "requires": {"provider_name": "ours"}}],
    })
}

fn transcoder(descriptors: &Path) -> Value {
    json!({
        "@type": type_of("filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
        "proto_descriptor": descriptors,
        "services": SERVICES,
        "convert_grpc_status": true,
        "print_options": {"always_print_primitive_fields": true},
    })
}

fn access_log(file: &Path) -> Value {
    json!({"name": "log", "typed_config": {
        "@type": type_of("access_loggers.file.v3.FileAccessLog"),
        "path": file,
        "log_format": {"json_format": {
            "timestamp": "%START_TIME%", "method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%",
            "status": "%RESPONSE_CODE%", "duration_ms": "%DURATION%", "request_id": "%REQ(X-REQUEST-ID)%",
        }},
    }})
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn type_of(name: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{name}")
}
