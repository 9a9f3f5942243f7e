//! An event as NATS headers: CloudEvents 1.0 in binary mode, with three attributes of our own.

use anyhow::Context;
use async_nats::{HeaderMap, HeaderValue, header::NATS_EXPECTED_STREAM, header::NATS_MESSAGE_ID};
use service::trace;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{store::UnpublishedEvent, streams::Stream};

pub(crate) const ID: &str = "ce-id";
pub(crate) const TYPE: &str = "ce-type";
pub(crate) const TIME: &str = "ce-time";
/// The aggregate.
pub(crate) const SUBJECT: &str = "ce-subject";
pub(crate) const OWNER: &str = "ce-ownerid";
pub(crate) const VERSION: &str = "ce-version";

pub(crate) fn of_event(event: &UnpublishedEvent, source: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, event.event_id.to_string());
    headers.insert(NATS_EXPECTED_STREAM, Stream::of_subject(&event.subject).name());
    headers.insert("ce-specversion", "1.0");
    headers.insert("content-type", "application/protobuf");
    headers.insert("ce-source", source);
    headers.insert(ID, event.event_id.to_string());
    headers.insert(TYPE, event.event_type.as_str());
    headers.insert(
        TIME,
        event
            .created_at
            .format(&Rfc3339)
            .context("formatting the event's time")?,
    );
    headers.insert(SUBJECT, event.aggregate_id.to_string());
    headers.insert(OWNER, event.owner_id.to_string());
    headers.insert(VERSION, event.version.to_string());
    if let Some(traceparent) = &event.traceparent {
        headers.insert(trace::TRACEPARENT, traceparent.as_str());
    }
    Ok(headers)
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> anyhow::Result<&'a str> {
    headers
        .get(name)
        .map(HeaderValue::as_str)
        .with_context(|| format!("the header {name} is missing"))
}

pub(crate) fn id(headers: &HeaderMap, name: &str) -> anyhow::Result<Uuid> {
    Uuid::parse_str(text(headers, name)?).with_context(|| format!("reading the header {name}"))
}

pub(crate) fn time(headers: &HeaderMap, name: &str) -> anyhow::Result<OffsetDateTime> {
    OffsetDateTime::parse(text(headers, name)?, &Rfc3339).with_context(|| format!("reading the header {name}"))
}
