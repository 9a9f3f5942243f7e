//! The one place where calls are sent, and sent again. Nothing else in the system retries an RPC.

use std::pin::pin;
use std::time::{Duration, Instant};

use crate::upstream::{Connection, Picked, Ticket};
use bytes::Bytes;
use futures::future::{Either, select};
use tonic::Status;

use super::Attempt;
use super::figures::SecondAttempt;
use super::verdict::{Fault, Pushback};
use crate::call::Call;
use crate::endpoint::Output;
use crate::problem::Problem;

/// What a service has answered, or why it was not asked.
/// The ticket says that the call is under way at its endpoint, and is kept for as long as it is.
type Answer<T> = Result<Result<(T, Ticket), Status>, Problem>;

/// Sends a message, at most twice, and waits for what `work` makes of it.
pub(crate) async fn send<T>(
    call: &mut Call<'_>,
    message: Bytes,
    work: impl AsyncFn(Connection, tonic::Request<Bytes>) -> Result<T, Status>,
) -> Answer<T> {
    let started = Instant::now();
    let edge = &call.worker.edge;
    let service = edge.served_by[call.found.index].0;
    let retry = edge.settings.load().retry;
    call.worker.resilience.earn(&retry, service);
    let answer = match call.endpoint.repeat.hedge_after.filter(|_| retry.enabled) {
        Some(hedge_after) => Box::pin(send_hedged(call, message, &work, hedge_after)).await,
        None => {
            let answer = attempt(call, message.clone(), started, &work).await;
            match pause_before_second(call, &message, &answer) {
                Some(pause) => Box::pin(second(call, message, &work, pause, answer)).await,
                None => answer,
            }
        }
    };
    call.exchange.upstream += started.elapsed();
    answer
}

/// Every attempt is made here.
async fn attempt<T>(
    call: &Call<'_>,
    message: Bytes,
    now: Instant,
    work: &impl AsyncFn(Connection, tonic::Request<Bytes>) -> Result<T, Status>,
) -> Answer<T> {
    let attempt = Attempt::begin(call, now)?;
    call.exchange.attempts.set(call.exchange.attempts.get() + 1);
    let Picked { connection, mut ticket } = call.pick().ok_or_else(Problem::unreachable)?;
    let timeout = match call.endpoint.output {
        Output::Json | Output::Raw => Some(call.deadline.remaining()),
        // The deadline is for the first message, the stream goes on for as long as it likes.
        Output::JsonStream | Output::RawStream => None,
    };
    let grpc_request = call.grpc_request(message, timeout);
    let answer = work(connection, grpc_request);
    match call.deadline.limit(answer).await {
        Ok(outcome) => {
            // Of calls that waited in vain, each is a failure of its own, also when their connection is then given up.
            if ticket.note(&outcome) || attempt.has_waited() {
                attempt.end(&outcome);
            }
            Ok(outcome.map(|answer| (answer, ticket)))
        }
        Err(problem) => {
            attempt.time_out();
            Err(problem)
        }
    }
}

/// How long to wait before the second attempt; nothing when there must be none.
fn pause_before_second<T>(call: &Call<'_>, message: &[u8], answer: &Answer<T>) -> Option<Duration> {
    // What the edge itself refused, it would refuse again.
    let Ok(Err(status)) = answer else { return None };
    let endpoint = call.endpoint;
    let is_harmless = || endpoint.repeat.is_harmless(endpoint.request_etag, message);
    let retry = call.worker.edge.settings.load().retry;
    let fault = Fault::of(status);
    if !retry.enabled || !fault.may_be_repeated(is_harmless()) {
        return None;
    }
    call.exchange.may_be_done.set(fault.may_be_done());
    let pause = match Pushback::of(status) {
        Pushback::None => retry.pause(rand::random()),
        Pushback::After(pause) => pause,
        Pushback::Never => return None,
    };
    has_time_for(call, pause).then_some(())?;
    may_send_again(call, SecondAttempt::Retry).then_some(pause)
}

/// No attempt begins that cannot end in time.
fn has_time_for(call: &Call<'_>, pause: Duration) -> bool {
    let service = call.worker.edge.served_by[call.found.index].0;
    pause + call.worker.resilience.usual(service) < call.deadline.remaining()
}

fn may_send_again(call: &Call<'_>, kind: SecondAttempt) -> bool {
    let service = call.worker.edge.served_by[call.found.index].0;
    let retry = call.worker.edge.settings.load().retry;
    call.worker.resilience.spend(&retry, Instant::now(), service, kind)
}

async fn second<T>(
    call: &Call<'_>,
    message: Bytes,
    work: &impl AsyncFn(Connection, tonic::Request<Bytes>) -> Result<T, Status>,
    pause: Duration,
    first: Answer<T>,
) -> Answer<T> {
    tokio::time::sleep(pause).await;
    match attempt(call, message, Instant::now(), work).await {
        Ok(outcome) => Ok(outcome),
        // The service's own word on the first attempt says more than that there was no second.
        Err(_) => first,
    }
}

/// The second attempt starts beside the first, which is late; the first good answer counts, and the other call is
/// cancelled by being dropped.
async fn send_hedged<T>(
    call: &Call<'_>,
    message: Bytes,
    work: &impl AsyncFn(Connection, tonic::Request<Bytes>) -> Result<T, Status>,
    hedge_after: Duration,
) -> Answer<T> {
    let mut first = pin!(attempt(call, message.clone(), Instant::now(), work));
    let early = tokio::time::timeout(hedge_after, first.as_mut()).await;
    if let Ok(answer) = early {
        return match pause_before_second(call, &message, &answer) {
            Some(pause) => second(call, message, work, pause, answer).await,
            None => answer,
        };
    }
    if !has_time_for(call, Duration::ZERO) || !may_send_again(call, SecondAttempt::Hedge) {
        return first.await;
    }
    let second = pin!(attempt(call, message, Instant::now(), work));
    match select(first, second).await {
        Either::Left((answer, _)) | Either::Right((answer, _)) if is_good(&answer) => answer,
        Either::Left((_, other)) | Either::Right((_, other)) => other.await,
    }
}

fn is_good<T>(answer: &Answer<T>) -> bool {
    match answer {
        Ok(Ok(_)) => true,
        Ok(Err(status)) => Fault::of(status) == Fault::None,
        Err(_) => false,
    }
}
