//! What a service gets of a request besides its message.

use std::time::Duration;

use actix_web::http::header;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::MetadataMap;

use crate::call::Call;
use crate::deadline;
use crate::exchange;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static(service::trace::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const USER_AGENT: HeaderName = HeaderName::from_static("x-user-agent");
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("x-client-address");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// With gRPC's own, no more entries than this.
const ENTRIES: usize = 10;
/// Of each header that a caller may fill as it likes: services take 16 KiB of them all, and refuse the call above.
const MAX_FORWARDED_BYTES: usize = 512;

/// The metadata of a call, with the time that is left when there is an end to it. Nothing else of the caller's headers goes
/// through.
pub(crate) fn of(call: &Call<'_>, timeout: Option<Duration>) -> MetadataMap {
    let mut entries = Entries(HeaderMap::with_capacity(ENTRIES));
    let headers = call.request.headers();
    let text = |name| exchange::header(headers, name);
    entries.add_passing(AUTHORIZATION, call.admitted.authorization);
    entries.add_passing(REQUEST_ID, Some(&call.exchange.request_id));
    entries.add_passing(TRACEPARENT, Some(&call.exchange.traceparent));
    let tracestate = text(exchange::TRACESTATE);
    entries.add_passing(
        TRACESTATE,
        tracestate.filter(|state| state.len() <= MAX_FORWARDED_BYTES),
    );
    let user_agent = text(header::USER_AGENT);
    entries.add_lasting(
        USER_AGENT,
        user_agent.map(|agent| agent.get(..MAX_FORWARDED_BYTES).unwrap_or(agent)),
    );
    let address = call.exchange.client.map(|address| address.to_string());
    entries.add_lasting(CLIENT_ADDRESS, address.as_deref());
    entries.add_passing(GRPC_TIMEOUT, timeout.map(deadline::grpc_timeout).as_deref());
    MetadataMap::from_headers(entries.0)
}

struct Entries(HeaderMap);

impl Entries {
    /// What other calls have too, so that HPACK sends it whole once and a number from then on.
    fn add_lasting(&mut self, name: HeaderName, value: Option<&str>) {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            self.0.insert(name, value);
        }
    }

    /// What is the call's own, or secret: in HPACK's table it would only drive out what lasts.
    fn add_passing(&mut self, name: HeaderName, value: Option<&str>) {
        if let Some(mut value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            value.set_sensitive(true);
            self.0.insert(name, value);
        }
    }
}
