//! One JSON object per log line, with the trace that it belongs to.

use std::{
    fmt,
    io::{self, Write},
    sync::OnceLock,
};

use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use tracing::{
    Dispatch, Event, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::clock;

pub(super) struct JsonLines {
    service: &'static str,
    dispatch: OnceLock<WeakDispatch>,
}

/// Fields of a span or an event.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl JsonLines {
    pub(super) fn new(service: &'static str) -> Self {
        Self {
            service,
            dispatch: OnceLock::new(),
        }
    }

    fn line<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> Map<String, Value>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert(
            "timestamp".into(),
            clock::now().format(&Rfc3339).unwrap_or_default().into(),
        );
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("service".into(), self.service.into());
        line.insert("target".into(), metadata.target().into());
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(span) = context.lookup_current() {
            line.insert("span".into(), span.name().into());
            for span in span.scope() {
                if let Some(outer) = span.extensions().get::<Fields>() {
                    append(&mut line, &outer.0);
                }
            }
        }
        self.append_trace(&mut line);
        line.append(&mut fields.0);
        line
    }

    /// Asked of the dispatcher rather than the layer's context: the ids stay in the logs when the filter drops spans.
    fn append_trace(&self, line: &mut Map<String, Value>) {
        let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade) else {
            return;
        };
        let current = dispatch.current_span();
        let Some(id) = current.id() else { return };
        let Some(context) = tracing_opentelemetry::get_otel_context(id, &dispatch) else {
            return;
        };
        let span = context.span();
        line.insert("trace_id".into(), span.span_context().trace_id().to_string().into());
        line.insert("span_id".into(), span.span_context().span_id().to_string().into());
    }
}

impl<S> Layer<S> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        // Registered once; a second dispatcher would be a second process' worth of logs.
        let _ = self.dispatch.set(subscriber.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut text = Value::Object(self.line(event, &context)).to_string();
        text.push('\n');
        // There is nowhere left to report a log that cannot be written.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

/// The innermost span comes first and wins.
fn append(line: &mut Map<String, Value>, outer: &Map<String, Value>) {
    for (name, value) in outer {
        if !line.contains_key(name) {
            line.insert(name.clone(), value.clone());
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}
