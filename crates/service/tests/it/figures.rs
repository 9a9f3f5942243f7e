//! What a scraper sees after some calls.

use bookmesh_proto::auth::v1::GetJwksRequest;

use crate::app::{App, ask};

#[tokio::test]
async fn calls_are_counted_by_method_and_code_with_their_latency() {
    let app = App::start().await;
    for _ in 0..3 {
        app.ask("").await.unwrap();
    }
    app.ask("panic").await.unwrap_err();
    app.user().get_enrichment(ask("")).await.unwrap_err();
    app.public().get_jwks(GetJwksRequest {}).await.unwrap();

    let (_, text) = app.admin("/metrics").await;

    let handled = |method: &str, code: &str, count: u32| {
        let (service, method) = method.split_once('/').unwrap();
        format!(r#"grpc_server_handled_total{{service="{service}",method="{method}",code="{code}"}} {count}"#)
    };
    for line in [
        handled("bookmesh.enrich.v1.EnrichmentService/GetEnrichment", "OK", 3),
        handled("bookmesh.enrich.v1.EnrichmentService/GetEnrichment", "INTERNAL", 1),
        handled("bookmesh.enrich.v1.EnrichmentService/GetEnrichment", "UNAUTHENTICATED", 1),
        handled("bookmesh.auth.v1.AuthService/GetJwks", "OK", 1),
        r#"grpc_server_handling_seconds_count{service="bookmesh.enrich.v1.EnrichmentService",method="GetEnrichment"} 5"#
            .to_owned(),
        "grpc_server_in_flight 0".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
    }
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert!(text.contains("\nprocess_cpu_seconds_total "), "{text}");
    assert!(
        !text.contains("DropEverything") && !text.contains("ImportService"),
        "{text}"
    );
}
