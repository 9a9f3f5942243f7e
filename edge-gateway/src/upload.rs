//! Bodies of any size, streamed to the service in pieces. However large the body, a few pieces are in memory.

mod feed;

use actix_web::HttpResponse;
use actix_web::web::Payload;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use tonic::{CancellationHandle, Response, Status};

use crate::body;
use crate::call::Call;
use crate::codec::RawCodec;
use crate::endpoint::RawBody;
use crate::problem::Problem;
use crate::respond;

/// Pieces that wait for the service; when they are there, the caller has to wait too.
const PIECES_WAITING: usize = 2;

pub(crate) async fn answer(mut call: Call<'_>, raw: RawBody, payload: Payload) -> Result<HttpResponse, Problem> {
    body::check_declared_length(call.request, call.endpoint.policy.max_body_bytes)?;
    let mut fields = Vec::new();
    call.push_fields(&mut fields)?;

    let mut client = call.client().await?;
    let (pieces, waiting) = mpsc::channel(PIECES_WAITING);
    let mut grpc_request = call.grpc_request(ReceiverStream::new(waiting));
    grpc_request.set_timeout(call.deadline.remaining());
    // Declared after `pieces`, and so dropped before: the service must see a call that was given up, not a file that
    // ends early.
    let unless_complete = CancelOnDrop::new(grpc_request.cancellation_handle());
    let feed =
        feed::File::of(call.request, raw, fields).send(payload, call.endpoint.policy.max_body_bytes, pieces.clone());
    let answer = client.client_streaming(grpc_request, call.endpoint.rpc_path.clone(), RawCodec);
    let exchange = async move {
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            // The service may answer before it has everything, if only to say that it does not want it.
            early = &mut answer => return Ok(early),
            fed = feed => fed?,
        }
        unless_complete.disarm();
        drop(pieces);
        Ok(answer.await)
    };
    let deadline = call.deadline;
    let outcome = deadline.limit(exchange).await??;
    finish(&mut call, outcome)
}

fn finish(call: &mut Call<'_>, outcome: Result<Response<bytes::Bytes>, Status>) -> Result<HttpResponse, Problem> {
    call.exchange.upstream = call.exchange.started.elapsed();
    match outcome {
        Ok(response) => respond::success(call, response.into_inner()),
        Err(status) => Err(call.problem(&status)),
    }
}

struct CancelOnDrop(Option<CancellationHandle>);

impl CancelOnDrop {
    fn new(handle: CancellationHandle) -> Self {
        Self(Some(handle))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            handle.cancel();
        }
    }
}
