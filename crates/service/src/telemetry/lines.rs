//! One JSON object per log line, with the trace that it belongs to.

use std::{
    fmt,
    io::{Stderr, Write},
    sync::OnceLock,
};

use opentelemetry::trace::TraceContextExt;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use tracing::{
    Dispatch, Event, Level, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::gathered::GatheredLines;
use crate::clock;

/// Most lines are shorter.
const LINE_BYTES: usize = 512;

pub(super) struct JsonLines {
    service: &'static str,
    output: GatheredLines<Stderr>,
    dispatch: OnceLock<WeakDispatch>,
}

/// Members of a JSON object, written as they come: a line is made for every request, so nothing is kept twice.
#[derive(Default)]
struct Members {
    names: Vec<&'static str>,
    json: Vec<u8>,
}

/// Fields of a span, each as the JSON that goes into every line within it.
#[derive(Default)]
struct SpanFields(Vec<(&'static str, Vec<u8>)>);

impl JsonLines {
    pub(super) fn new(service: &'static str, output: GatheredLines<Stderr>) -> Self {
        Self {
            service,
            output,
            dispatch: OnceLock::new(),
        }
    }

    fn line<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> Vec<u8>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let metadata = event.metadata();
        let mut line = Members {
            names: Vec::with_capacity(16),
            json: Vec::with_capacity(LINE_BYTES),
        };
        line.push_display("timestamp", clock::now().format(&Rfc3339).unwrap_or_default());
        line.push("level", metadata.level().as_str());
        line.push("service", self.service);
        line.push("target", metadata.target());
        event.record(&mut Recorder(&mut line));
        if let Some(span) = context.lookup_current() {
            line.push("span", span.name());
            // The innermost span comes first and wins.
            for span in span.scope() {
                if let Some(SpanFields(fields)) = span.extensions().get::<SpanFields>() {
                    fields.iter().for_each(|(name, json)| line.push_raw(name, json));
                }
            }
        }
        self.push_trace(&mut line);
        line.finish()
    }

    /// Asked of the dispatcher rather than the layer's context: the ids stay in the logs when the filter drops spans.
    fn push_trace(&self, line: &mut Members) {
        let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade) else {
            return;
        };
        let current = dispatch.current_span();
        let Some(id) = current.id() else { return };
        let Some(context) = tracing_opentelemetry::get_otel_context(id, &dispatch) else {
            return;
        };
        let span = context.span();
        line.push_display("trace_id", span.span_context().trace_id());
        line.push_display("span_id", span.span_context().span_id());
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
        let mut fields = SpanFields::default();
        attributes.record(&mut Recorder(&mut fields));
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            values.record(&mut Recorder(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        self.output.push(&self.line(event, &context));
        // What may be the last that is heard of this process does not wait.
        if *event.metadata().level() == Level::ERROR {
            self.output.flush();
        }
    }
}

impl Members {
    fn push_display(&mut self, name: &'static str, value: impl fmt::Display) {
        if self.begin(name) {
            // Writing to memory cannot fail. These texts need no escaping.
            let _ = write!(self.json, "\"{value}\"");
        }
    }

    fn push_raw(&mut self, name: &'static str, json: &[u8]) {
        if self.begin(name) {
            self.json.extend_from_slice(json);
        }
    }

    /// A name that is there already keeps its first value.
    fn begin(&mut self, name: &'static str) -> bool {
        if self.names.contains(&name) {
            return false;
        }
        self.json.push(if self.names.is_empty() { b'{' } else { b',' });
        self.names.push(name);
        write_json(name, &mut self.json);
        self.json.push(b':');
        true
    }

    fn finish(mut self) -> Vec<u8> {
        self.json.extend_from_slice(b"}\n");
        self.json
    }
}

/// Takes a named value.
trait Fields {
    fn push(&mut self, name: &'static str, value: &(impl Serialize + ?Sized));
}

impl Fields for Members {
    fn push(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) {
        if self.begin(name) {
            write_json(value, &mut self.json);
        }
    }
}

impl Fields for SpanFields {
    /// The last value counts: a span's field may be recorded again.
    fn push(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) {
        let mut json = Vec::new();
        write_json(value, &mut json);
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = json,
            None => self.0.push((name, json)),
        }
    }
}

struct Recorder<'a, F>(&'a mut F);

impl<F: Fields> Visit for Recorder<'_, F> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push(field.name(), &value);
    }
}

fn write_json(value: &(impl Serialize + ?Sized), json: &mut Vec<u8>) {
    // Strings, numbers and booleans always have a JSON form, and writing to memory cannot fail.
    let _ = serde_json::to_writer(json, value);
}
