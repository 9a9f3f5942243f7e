//! The body of a request, on its way to the service.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;
use tokio::task::JoinHandle;
use tonic::body::Body;

use super::Error;

/// A request that is no longer than this is handed over as it is; for longer ones the service has to make room.
const SMALL_BYTES: usize = 16 << 10;

/// A request of many messages, of which the service must not take a part for the whole. It goes into the request's extensions.
#[derive(Clone, Copy)]
pub(crate) struct File;

pub(super) struct Upload {
    body: Body,
    stream: SendStream<Bytes>,
    /// What is sent next, and what comes after it: only with a look ahead can the last piece carry the end.
    piece: Option<Bytes>,
    next: Option<Bytes>,
    is_read: bool,
    is_ended: bool,
    is_file: bool,
}

/// An upload that goes on in a task of its own. Dropping it before the answer is there breaks the upload off.
pub(super) struct Uploading(JoinHandle<()>);

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Upload {
    /// Sends what is there at once, which for most calls is all; the rest goes on beside the answer.
    pub(super) async fn start(
        body: Body,
        stream: SendStream<Bytes>,
        is_file: bool,
    ) -> Result<Option<Uploading>, Error> {
        let mut upload = Self {
            body,
            stream,
            piece: None,
            next: None,
            is_read: false,
            is_ended: false,
            is_file,
        };
        match poll_fn(|context| Poll::Ready(upload.poll(context))).await {
            Poll::Ready(sent) if !is_file => sent.map(|()| None),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => {
                let task = actix_web::rt::spawn(async move {
                    // The service is told by a reset, and the caller by the end of the answer.
                    let sent = poll_fn(|context| upload.poll(context)).await;
                    if sent.is_ok() && is_file {
                        // The end may still wait in h2, which would forget it and reset with CANCEL if the call was dropped.
                        pending::<()>().await;
                    }
                });
                Ok(Some(Uploading(task)))
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.is_ended {
            self.look_ahead(context)?;
            match &self.piece {
                None if self.is_read => self.send(Bytes::new())?,
                None => return Poll::Pending,
                Some(only) if self.is_read && self.next.is_none() && only.len() <= SMALL_BYTES => {
                    let only = self.piece.take().unwrap_or_default();
                    self.send(only)?;
                }
                Some(_) => ready!(self.poll_room(context))?,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads pieces until two are at hand, or no more is there.
    fn look_ahead(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        while !self.is_read && self.next.is_none() {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                return Ok(());
            };
            let data = match frame.transpose()? {
                None => {
                    self.is_read = true;
                    return Ok(());
                }
                Some(frame) => frame.into_data().unwrap_or_default(),
            };
            let place = if self.piece.is_none() {
                &mut self.piece
            } else {
                &mut self.next
            };
            *place = Some(data);
        }
        Ok(())
    }

    /// Sends as much of the next piece as the service has room for.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(piece) = &mut self.piece else {
            return Poll::Ready(Ok(()));
        };
        self.stream.reserve_capacity(piece.len());
        while self.stream.capacity() == 0 && !piece.is_empty() {
            match ready!(self.stream.poll_capacity(context)) {
                Some(room) => _ = room?,
                None => return Poll::Ready(Err("the service wants no more of the request".into())),
            }
        }
        let part = piece.split_to(self.stream.capacity().min(piece.len()));
        if piece.is_empty() {
            self.piece = self.next.take();
        }
        Poll::Ready(self.send(part))
    }

    /// Hands a part over, with the end when nothing follows.
    fn send(&mut self, part: Bytes) -> Result<(), Error> {
        self.is_ended = self.is_read && self.piece.is_none() && self.next.is_none();
        self.stream.send_data(part, self.is_ended)?;
        Ok(())
    }
}

impl Drop for Upload {
    /// h2 itself would reset with CANCEL, which servers take for the end of the request: half a file would look whole.
    /// A call that is over is not reset any more.
    fn drop(&mut self) {
        if self.is_file || !self.is_ended {
            self.stream.send_reset(Reason::INTERNAL_ERROR);
        }
    }
}
