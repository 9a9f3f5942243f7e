//! W3C trace context: in from callers, out to callees and events.

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header, and the metadata and message header key, of a trace parent.
pub const TRACEPARENT: &str = "traceparent";

/// The trace parent of the current span, to be sent on; `None` outside of any trace.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8()
        )
    })
}

/// Sends the current span on as the parent of what the callee does.
pub fn inject(metadata: &mut MetadataMap) {
    let Some(traceparent) = current_traceparent() else {
        return;
    };
    let value: MetadataValue<Ascii> = traceparent
        .parse()
        .expect("a trace parent is hexadecimal digits and hyphens");
    metadata.insert(TRACEPARENT, value);
}

/// Makes `span`, which must not have been entered yet, a child of a caller's span. One that is malformed is left out.
pub fn adopt(span: &Span, traceparent: Option<&str>) {
    let Some(traceparent) = traceparent else { return };
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Carried(traceparent));
    if parent.span().span_context().is_valid() {
        // The span is not recorded when no telemetry is set up; there is nothing to adopt then.
        let _ = span.set_parent(parent);
    }
}

struct Carried<'a>(&'a str);

impl Extractor for Carried<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
