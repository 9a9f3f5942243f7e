//! Bodies of any size, streamed to the service in pieces. However large the body, a few pieces are in memory.

mod feed;
mod pace;
mod pieces;

use std::pin::pin;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::web::Payload;
use tonic::client::Grpc;

use crate::body;
use crate::call::Call;
use crate::codec::RawCodec;
use crate::endpoint::RawBody;
use crate::problem::Problem;
use crate::resilience::Attempt;
use crate::respond;
use crate::upstream::{File, Picked};
use pieces::Pieces;

pub(crate) async fn answer(call: Call<'_>, raw: RawBody, payload: Payload) -> Result<HttpResponse, Problem> {
    let limit = call.endpoint.policy.max_body_bytes;
    body::check_declared_length(call.request, limit)?;
    let mut fields = Vec::new();
    call.push_fields(&mut fields)?;

    let _place = call.enter_upload()?;
    let attempt = Attempt::begin(&call, Instant::now())?;
    call.exchange.attempts.set(1);
    let Picked { connection, ticket } = call.pick().ok_or_else(Problem::unreachable)?;
    let mut client = Grpc::new(connection);
    let mut ticket = ticket.untimed();
    let (sender, pieces) = Pieces::channel();
    let mut grpc_request = call.grpc_request(pieces, Some(call.deadline.remaining()));
    grpc_request.extensions_mut().insert(File);
    let path = call.endpoint.rpc_path.clone();
    // Dropped before its end, with its caller or at its deadline, it breaks the upload off.
    let answer = client.client_streaming(grpc_request, path, RawCodec);
    let body = feed::Source::new(payload, limit, call.worker.edge.settings.load().connections);
    let feed = feed::File::of(call.request, raw, fields).send(body, sender);
    let exchange = async {
        let mut answer = pin!(answer);
        tokio::select! {
            // The service may answer before it has everything, if only to say that it does not want it.
            early = &mut answer => return Ok(early),
            fed = feed => fed?,
        }
        Ok(answer.await)
    };
    let outcome = call.deadline.limit(exchange).await??;
    attempt.end(&outcome);
    call.exchange.upstream = call.exchange.started.elapsed();
    ticket.note(&outcome);
    match outcome {
        Ok(response) => respond::success(&call, response.get_ref()),
        Err(status) => Err(call.problem(&status)),
    }
}
