//! Calls with one message either way, which nearly all are: written to HTTP/2 as they are, without the encoder, decoder and
//! boxed bodies that tonic's client needs for streams (ADR 15).

use bytes::{BufMut, Bytes, BytesMut};
use h2::{Reason, RecvStream};
use http::header::{self, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode};
use tonic::{Code, Status};

use super::{Connection, Inner, Open, Place, Unanswered, details};

/// A byte that says whether the message is compressed, and its length (gRPC over HTTP/2, Length-Prefixed-Message).
const PREFIX_BYTES: usize = 5;
/// As much as tonic's client takes when nobody says otherwise.
const MAX_ANSWER_BYTES: usize = 4 << 20;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

impl Connection {
    /// Sends a message and waits for the answer; dropping it cancels the call. Statuses are as tonic's client makes them.
    pub(crate) async fn unary(&self, request: tonic::Request<Bytes>, path: PathAndQuery) -> Result<Bytes, Status> {
        let (metadata, _, message) = request.into_parts();
        let mut headers = metadata.into_headers();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let head = self.0.head(path, headers).map_err(from_error)?;
        let _place = Place::take(&self.0.calls)?;
        let (head, body) = exchange(&self.0, head, framed(&message)).await?;
        if let Some(status) = said(&head.headers) {
            return status.and(Err(without_message()));
        }
        if head.status != StatusCode::OK {
            return Err(without_status(head.status));
        }
        read(body).await
    }
}

async fn exchange(
    connection: &std::rc::Rc<Inner>,
    head: http::Request<()>,
    message: Bytes,
) -> Result<(http::response::Parts, RecvStream), Status> {
    let Open { mut sender, suspicion } = connection.ready().await.map_err(Status::from_error)?;
    let (answer, mut stream) = sender.send_request(head, false).map_err(from_error)?;
    let unanswered = Unanswered::begin(suspicion);
    // The message is in memory already: what the service has no room for yet waits there.
    stream.send_data(message, true).map_err(from_error)?;
    let answer = answer.await;
    unanswered.end();
    let (mut head, body) = answer.map_err(from_error)?.into_parts();
    details::drop_unreadable(&mut head.headers);
    Ok((head, body))
}

async fn read(mut body: RecvStream) -> Result<Bytes, Status> {
    let mut content = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = match data {
            Ok(data) => data,
            // The service had no need of the rest of the request.
            Err(error) if error.reason() == Some(Reason::NO_ERROR) => break,
            Err(error) => return Err(from_error(error)),
        };
        body.flow_control().release_capacity(data.len()).map_err(from_error)?;
        if content.len() + joined.len() + data.len() > PREFIX_BYTES + MAX_ANSWER_BYTES {
            return Err(Status::out_of_range("the answer is too large"));
        }
        // Most answers come in one piece, which is then not copied.
        if content.is_empty() && joined.is_empty() {
            content = data;
        } else {
            joined.put(std::mem::take(&mut content));
            joined.put(data);
        }
    }
    let mut trailers = body.trailers().await.map_err(from_error)?;
    if let Some(trailers) = &mut trailers {
        details::drop_unreadable(trailers);
    }
    let status = trailers.as_ref().and_then(said);
    status.unwrap_or_else(|| Err(without_status(StatusCode::OK)))?;
    unframed(if joined.is_empty() { content } else { joined.freeze() })
}

/// How the service says that the call ended; nothing when it does not say it here.
fn said(headers: &HeaderMap) -> Option<Result<(), Status>> {
    let code = headers.get(GRPC_STATUS)?;
    if code == "0" {
        return Some(Ok(()));
    }
    Status::from_header_map(headers).map(|status| match status.code() {
        Code::Ok => Ok(()),
        _ => Err(status),
    })
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    // Bodies are limited to far less than 4 GiB.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

fn unframed(mut content: Bytes) -> Result<Bytes, Status> {
    let Some((&[compression, ref length @ ..], message)) = content.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(without_message());
    };
    if compression != 0 {
        return Err(Status::internal("the answer is compressed, which was not asked for"));
    }
    if u32::from_be_bytes(*length) as usize != message.len() {
        return Err(Status::internal("the answer is not one whole message"));
    }
    Ok(content.split_off(PREFIX_BYTES))
}

fn from_error(error: impl Into<super::Error>) -> Status {
    Status::from_error(error.into())
}

fn without_message() -> Status {
    Status::internal("the answer has no message")
}

/// What gRPC makes of an answer that is not its own (doc/http-grpc-status-mapping.md of gRPC).
fn without_status(status: StatusCode) -> Status {
    let code = match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(
        code,
        format!("an answer without grpc-status, with HTTP status {}", status.as_u16()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_framed_is_unframed() {
        for message in ["", "a", &"long ".repeat(10_000)] {
            assert_eq!(unframed(framed(message.as_bytes())).unwrap(), message);
        }
    }

    #[test]
    fn what_is_not_one_message_is_refused() {
        let broken: [&'static [u8]; 5] = [b"", b"\0\0\0\0", b"\0\0\0\0\x01", b"\0\0\0\0\x01ab", b"\x01\0\0\0\x01a"];
        for content in broken {
            assert_eq!(
                unframed(Bytes::from_static(content)).unwrap_err().code(),
                Code::Internal,
                "{content:?}"
            );
        }
    }
}
