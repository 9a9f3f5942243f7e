//! The messages of an upload on their way to the service. An upload that ends without being finished is an error
//! there, never a shorter file.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};

use crate::codec::RawCodec;

/// Messages that wait for the service; when they are there, the caller has to wait too.
const MESSAGES_WAITING: usize = 2;

/// Dropping it gives the upload up; [`PieceSender::finish`] completes it.
pub(super) struct PieceSender(Sender<Piece>);

enum Piece {
    Message(Bytes),
    Finished,
}

pub(super) struct Pieces {
    receiver: Receiver<Piece>,
    is_over: bool,
}

/// The caller is gone, or its body is not what it said it was.
pub(super) struct GivenUp;

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
        (
            PieceSender(sender),
            Self {
                receiver,
                is_over: false,
            },
        )
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, GivenUp>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(context).map(|piece| match piece {
            Some(Piece::Message(message)) => Some(Ok(message)),
            Some(Piece::Finished) => {
                self.is_over = true;
                None
            }
            None => {
                self.is_over = true;
                Some(Err(GivenUp))
            }
        })
    }
}

/// Ends the HTTP/2 stream with an error when the upload was given up.
#[derive(Clone, Copy)]
pub(super) struct PieceCodec;

impl Codec for PieceCodec {
    type Encode = Result<Bytes, GivenUp>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for PieceCodec {
    type Item = Result<Bytes, GivenUp>;
    type Error = Status;

    fn encode(&mut self, piece: Self::Item, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        match piece {
            Ok(message) => RawCodec.encode(message, buffer),
            Err(GivenUp) => Err(Status::internal("the upload was given up")),
        }
    }
}
