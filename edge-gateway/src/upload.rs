//! Bodies of any size, streamed to the service in pieces. However large the body, a few pieces are in memory.

mod feed;
mod pace;
mod pieces;

use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::web::Payload;
use bytes::Bytes;
use tonic::client::Grpc;
use tonic::{Response, Status};

use crate::body;
use crate::call::Call;
use crate::endpoint::RawBody;
use crate::problem::Problem;
use crate::resilience::Attempt;
use crate::respond;
use crate::upstream::Picked;
use pieces::{PieceCodec, Pieces};

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
    let grpc_request = call.grpc_request(pieces, Some(call.deadline.remaining()));
    let path = call.endpoint.rpc_path.clone();
    // A task of its own: were the call dropped with its caller, HTTP/2 would tell the service CANCEL, which a hyper
    // server takes for the end of the file. So it goes on until it has told that the pieces have ended too early.
    let answer = actix_web::rt::spawn(async move { client.client_streaming(grpc_request, path, PieceCodec).await });
    let body = feed::Source::new(payload, limit, call.worker.edge.settings.load().connections);
    let feed = feed::File::of(call.request, raw, fields).send(body, sender);
    let exchange = async {
        let mut answer = answer;
        tokio::select! {
            // The service may answer before it has everything, if only to say that it does not want it.
            early = &mut answer => return joined(early),
            fed = feed => fed?,
        }
        joined(answer.await)
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

type Answer = Result<Response<Bytes>, Status>;

fn joined(answer: Result<Answer, tokio::task::JoinError>) -> Result<Answer, Problem> {
    answer.map_err(|error| {
        tracing::error!(error = %error, "an upload was lost");
        Problem::internal()
    })
}
