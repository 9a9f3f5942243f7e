//! The messages of an upload on their way to the service. Of an upload that is not finished the service never sees an end:
//! it is reset when its call is dropped, and never a shorter file.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Messages that wait for the service; when they are there, the caller has to wait too.
const MESSAGES_WAITING: usize = 2;

pub(super) struct PieceSender(Sender<Piece>);

enum Piece {
    Message(Bytes),
    Finished,
}

pub(super) struct Pieces {
    receiver: Receiver<Piece>,
    is_over: bool,
}

impl PieceSender {
    /// Nobody takes it when the service has answered already; the answer is what counts then.
    pub(super) async fn send(&self, message: Bytes) {
        let _ = self.0.send(Piece::Message(message)).await;
    }

    pub(super) async fn finish(self) {
        let _ = self.0.send(Piece::Finished).await;
    }
}

impl Pieces {
    pub(super) fn channel() -> (PieceSender, Self) {
        let (sender, receiver) = mpsc::channel(MESSAGES_WAITING);
        let is_over = false;
        (PieceSender(sender), Self { receiver, is_over })
    }
}

impl Stream for Pieces {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        match ready!(self.receiver.poll_recv(context)) {
            Some(Piece::Message(message)) => Poll::Ready(Some(message)),
            Some(Piece::Finished) => {
                self.is_over = true;
                Poll::Ready(None)
            }
            // Its sender is gone, and its call is about to be.
            None => Poll::Pending,
        }
    }
}
