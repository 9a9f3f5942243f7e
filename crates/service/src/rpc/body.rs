//! The body of an answer, watched for how the call ends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Code, Status, body::Body};
use tracing::Span;

use super::{figures::Observation, panicked, stream::StreamEnd};

type NextFrame = Option<Result<Frame<Bytes>, Status>>;

/// Counts the call when its trailers pass, or when nobody wants the rest.
pub(super) struct ObservedBody {
    inner: Body,
    observation: Observation,
    span: Span,
    stream_end: Option<StreamEnd>,
    ended: bool,
}

impl ObservedBody {
    /// The answer with its body watched. An error without a body says so in its headers.
    pub(super) fn around(
        response: Response<Body>,
        mut observation: Observation,
        span: Span,
        stream_end: Option<StreamEnd>,
    ) -> Response<Body> {
        if let Some(code) = code(response.headers()) {
            finish(&mut observation, &span, code);
            return response;
        }
        response.map(|inner| {
            Body::new(Self {
                inner,
                observation,
                span,
                stream_end,
                ended: false,
            })
        })
    }

    /// A stream that panicked may be in any state: its trailers are the last that is asked of it.
    fn poll_inner(&mut self, context: &mut Context<'_>) -> Poll<NextFrame> {
        let inner = Pin::new(&mut self.inner);
        let polled = catch_unwind(AssertUnwindSafe(|| inner.poll_frame(context)));
        let frame = ready!(polled.unwrap_or_else(|_| Poll::Ready(Some(trailers(&panicked())))));
        if let Some(stream_end) = &mut self.stream_end {
            stream_end.progress();
        }
        Poll::Ready(frame)
    }

    fn poll_stream_end(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        match &mut self.stream_end {
            Some(stream_end) => stream_end.poll(context),
            None => Poll::Pending,
        }
    }
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<NextFrame> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let span = this.span.clone();
        let _entered = span.enter();
        let frame = match this.poll_inner(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => Some(trailers(&ready!(this.poll_stream_end(context)))),
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
    span.in_scope(|| tracing::debug!("call ended"));
    observation.finish(code);
}

fn code(headers: &HeaderMap) -> Option<Code> {
    let value = headers.get(Status::GRPC_STATUS)?;
    Some(Code::from_bytes(value.as_bytes()))
}

fn trailers(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}
