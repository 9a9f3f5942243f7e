//! A socket that ends when its caller has had enough time. Actix watches the first head of a connection and its rest; this
//! watches every head, bodies that nobody reads any more, and callers who do not take their answer.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::activity::{Activity, Overdue};
use super::places::Place;
use crate::edge::Edge;

pub(super) struct Timed {
    stream: TcpStream,
    edge: Arc<Edge>,
    activity: Rc<Activity>,
    /// Since when the caller takes nothing of what is there for it.
    stuck_since: Option<Instant>,
    next_look: Pin<Box<Sleep>>,
    _place: Place,
}

impl Timed {
    pub(super) fn new(stream: TcpStream, edge: Arc<Edge>, place: Place) -> Self {
        let look = edge.settings.load().connections.look();
        Self {
            stream,
            edge,
            activity: Rc::new(Activity::new(Instant::now())),
            stuck_since: None,
            next_look: Box::pin(tokio::time::sleep(look)),
            _place: place,
        }
    }

    pub(super) fn activity(&self) -> Rc<Activity> {
        Rc::clone(&self.activity)
    }

    /// While there is nothing to read or no room to write: an error once the time is over. Only then, and not at every
    /// request, is a timer set.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        while self.next_look.as_mut().poll(context).is_ready() {
            let settings = self.edge.settings.load().connections;
            let now = Instant::now();
            let is_stuck = |since| now.saturating_duration_since(since) >= settings.write();
            let overdue = match self.stuck_since {
                Some(since) if is_stuck(since) => Some(Overdue::Write),
                Some(_) => None,
                None => self.activity.overdue(&settings, now),
            };
            if let Some(overdue) = overdue {
                self.edge.connection_figures.closed(overdue);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, overdue.name())));
            }
            self.next_look.as_mut().reset((now + settings.look()).into());
        }
        Poll::Pending
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(outcome) => {
                if buffer.filled().len() > before {
                    self.activity.received(Instant::now);
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => self.wait(context),
        }
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(outcome) => {
                if self.stuck_since.take().is_some() {
                    self.activity.resumed(Instant::now());
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                self.stuck_since.get_or_insert_with(Instant::now);
                self.wait(context)
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
