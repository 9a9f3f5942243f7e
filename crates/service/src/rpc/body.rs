//! The body of an answer, watched for how the call ends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Code, Status, body::Body};
use tracing::Span;

use super::{figures::Observation, panicked};

/// Counts the call when its trailers pass, or when nobody wants the rest.
pub(super) struct ObservedBody {
    inner: Body,
    observation: Observation,
    span: Span,
    ended: bool,
}

impl ObservedBody {
    /// The answer with its body watched. An error without a body says so in its headers.
    pub(super) fn around(response: Response<Body>, mut observation: Observation, span: Span) -> Response<Body> {
        if let Some(code) = code(response.headers()) {
            finish(&mut observation, &span, code);
            return response;
        }
        response.map(|inner| {
            Body::new(Self {
                inner,
                observation,
                span,
                ended: false,
            })
        })
    }
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let span = this.span.clone();
        let _entered = span.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.inner).poll_frame(context)));
        let frame = match polled {
            Ok(frame) => std::task::ready!(frame),
            // The stream may be in any state: what comes after its panic is not asked for.
            Err(panic) => Some(trailers(&panicked(&*panic))),
        };
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            this.ended = true;
            finish(
                &mut this.observation,
                &this.span,
                code(trailers).unwrap_or(Code::Unknown),
            );
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn finish(observation: &mut Observation, span: &Span, code: Code) {
    span.record("rpc.grpc.status_code", code as i32);
    observation.finish(code);
}

fn code(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(Status::GRPC_STATUS)
        .map(|value| Code::from_bytes(value.as_bytes()))
}

fn trailers(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}
