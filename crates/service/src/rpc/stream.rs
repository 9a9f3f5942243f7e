//! What ends a server stream from outside: no first message in time, or nothing more to say while the process stops.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use super::deadline::Deadline;
use crate::status;

/// A stopping process lets a stream finish that is busy, and ends one that only waits for something to happen.
const IDLE_WHILE_DRAINING: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Polled whenever the stream has no message.
pub(super) struct StreamEnd {
    deadline: Deadline,
    first_message: Option<Pin<Box<Sleep>>>,
    drain: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    idle: Option<Pin<Box<Sleep>>>,
}

impl StreamEnd {
    pub(super) fn new(deadline: Deadline, drain: CancellationToken) -> Self {
        Self {
            deadline,
            first_message: Some(Box::pin(sleep_until(deadline.at))),
            drain: Some(Box::pin(drain.cancelled_owned())),
            idle: None,
        }
    }

    /// A message has gone out.
    pub(super) fn progress(&mut self) {
        self.first_message = None;
        if let Some(idle) = &mut self.idle {
            idle.as_mut().reset(Instant::now() + IDLE_WHILE_DRAINING);
        }
    }

    /// Ready with the status to end the stream with.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        if let Some(first_message) = &mut self.first_message
            && first_message.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(self.deadline.exceeded());
        }
        if let Some(drain) = &mut self.drain {
            ready!(drain.as_mut().poll(context));
            self.drain = None;
        }
        let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(IDLE_WHILE_DRAINING)));
        ready!(idle.as_mut().poll(context));
        Poll::Ready(status::unavailable("the process stops", RETRY_AFTER))
    }
}
