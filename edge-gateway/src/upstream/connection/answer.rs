//! The body of an answer, as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame};

use super::upload::Uploading;
use super::{Place, details};

/// Dropping it before its end tells the service that nobody listens any more.
pub(crate) struct Answer {
    stream: RecvStream,
    has_data: bool,
    /// What is still being sent ends with the answer.
    _upload: Option<Uploading>,
    /// The call is under way for as long as its answer is.
    _place: Place,
}

impl Answer {
    pub(super) fn new(stream: RecvStream, upload: Option<Uploading>, place: Place) -> Self {
        Self {
            stream,
            has_data: true,
            _upload: upload,
            _place: place,
        }
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = match ready!(self.stream.poll_data(context)) {
            Some(Ok(data)) => data,
            ended => return Poll::Ready(ended),
        };
        let released = self.stream.flow_control().release_capacity(data.len());
        Poll::Ready(Some(released.map(|()| data)))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if self.has_data {
            match ready!(self.poll_data(context)) {
                Some(data) => return Poll::Ready(Some(data.map(Frame::data))),
                None => self.has_data = false,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(context));
        let trailers = trailers?.map(|mut trailers| {
            details::drop_unreadable(&mut trailers);
            Ok(Frame::trailers(trailers))
        });
        Poll::Ready(trailers)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}
