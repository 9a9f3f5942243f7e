//! Calls with one answer.

use actix_web::HttpResponse;
use actix_web::web::Payload;
use bytes::Bytes;
use tonic::{Code, Status};
use transcode::peek;

use crate::call::Call;
use crate::endpoint::{RequestEtag, Success};
use crate::etag::EntityTags;
use crate::problem::Problem;
use crate::{cache, resilience, respond, routing};

/// A caller who names more versions than this has no idea of any.
const MAX_ETAGS: usize = 8;

pub(crate) async fn answer(mut call: Call<'_>, payload: Payload) -> Result<HttpResponse, Problem> {
    let message = call.read_message(payload).await?;
    let message = Bytes::from(message);
    if let Some(keeping) = &call.endpoint.keeping
        && !call.is_rerouted()
    {
        return cache::answer(call, keeping, message).await;
    }
    let outcome = match condition(&call)? {
        Condition::None => send(&mut call, message).await?,
        Condition::Any(place, etags) => send_for_each(&mut call, &message, place, &etags).await?,
    };
    match outcome {
        Ok(message) => respond::success(&call, &message),
        Err(status) if is_gone_as_asked(&call, &status) => respond::success(&call, &Bytes::new()),
        Err(status) => Err(call.problem(&status)),
    }
}

/// What the second attempt to delete something did not find, the first may have deleted before its connection broke. It is gone,
/// as the caller wants it.
fn is_gone_as_asked(call: &Call<'_>, status: &Status) -> bool {
    let was_deleting = call.endpoint.success == Success::NoContent && call.exchange.may_be_done.get();
    was_deleting && status.code() == Code::NotFound
}

/// What must be true of the resource before the call may change it.
enum Condition {
    None,
    /// It has one of these etags, which go into this place of the request.
    Any(RequestEtag, Vec<String>),
}

fn condition(call: &Call<'_>) -> Result<Condition, Problem> {
    let Some(header) = respond::joined_header(call.request, "if-match") else {
        return Ok(Condition::None);
    };
    if call.found.route.http_method == "GET" {
        return Ok(Condition::None);
    }
    let tags = EntityTags::parse(&header)
        .ok_or_else(|| Problem::bad_request("INVALID_CONDITION", "If-Match is no list of entity tags"))?;
    let EntityTags::Listed(tags) = tags else {
        return Ok(Condition::None);
    };
    let place = call.endpoint.request_etag.ok_or_else(|| {
        Problem::bad_request(
            "CONDITION_NOT_SUPPORTED",
            "this call cannot be made to depend on an entity tag",
        )
    })?;
    // If-Match compares strongly: a weak tag never fits.
    let strong: Vec<String> = tags
        .iter()
        .filter(|tag| !tag.is_weak)
        .map(|tag| tag.opaque.to_owned())
        .collect();
    if strong.is_empty() || strong.len() > MAX_ETAGS {
        return Err(respond::precondition_failed());
    }
    Ok(Condition::Any(place, strong))
}

/// Services take one etag. Each try is atomic, so the first that fits is the one that If-Match asked for.
async fn send_for_each(
    call: &mut Call<'_>,
    message: &[u8],
    place: RequestEtag,
    etags: &[String],
) -> Result<Result<Bytes, Status>, Problem> {
    let mut outcome = Err(Status::aborted("no etag fits"));
    for etag in etags {
        let mut message = message.to_vec();
        match place.resource {
            Some(resource) => peek::push_message(&mut message, resource, |resource| {
                peek::push_field(resource, place.etag, etag.as_bytes());
            }),
            None => peek::push_field(&mut message, place.etag, etag.as_bytes()),
        }
        outcome = send(call, message.into()).await?;
        if !matches!(&outcome, Err(status) if status.code() == Code::Aborted) {
            return Ok(outcome);
        }
    }
    Ok(outcome)
}

pub(crate) async fn send(call: &mut Call<'_>, message: Bytes) -> Result<Result<Bytes, Status>, Problem> {
    let shadow = routing::shadow(call, &message);
    let path = &call.endpoint.rpc_path;
    let answer = resilience::send(call, message, async |connection, grpc_request| {
        connection.unary(grpc_request, path.clone()).await
    });
    let outcome = answer.await?.map(|(message, _ticket)| message);
    if let Some(shadow) = shadow {
        shadow.compare(&outcome);
    }
    Ok(outcome)
}
