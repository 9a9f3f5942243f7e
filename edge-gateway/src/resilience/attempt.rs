//! One attempt to have a call answered: it begins where breaker and limit let it, and tells them how it ended.

use std::time::{Duration, Instant};

use tonic::Status;

use super::Ending;
use super::breaker::{Outcome, Permit};
use super::verdict::Fault;
use crate::call::Call;
use crate::endpoint::{Input, Output};
use crate::policy::RateClass;
use crate::problem::Problem;
use crate::worker::Worker;

const LONG: Duration = Duration::from_millis(500);

/// Dropping it says that the caller went away, or that what ended the call is known from another one.
pub(crate) struct Attempt<'w> {
    worker: &'w Worker,
    service: usize,
    group: RateClass,
    started: Instant,
    /// Taken when the end has been told.
    permit: Option<Permit>,
    /// From when on the call counts as slow; nothing when its time depends on the caller.
    slow_after: Option<Duration>,
    /// Whether its time tells how busy the service is.
    is_measured: bool,
}

impl<'w> Attempt<'w> {
    pub(crate) fn begin(call: &Call<'w>, now: Instant) -> Result<Self, Problem> {
        if call.deadline.remaining().is_zero() {
            return Err(Problem::deadline_exceeded());
        }
        let worker: &'w Worker = call.worker;
        let service = worker.edge.served_by[call.found.index].0;
        let group = call.endpoint.policy.rate_class;
        let settings = worker.edge.settings.load();
        let permit = worker.resilience.begin(&settings, now, service, group)?;
        let is_upload = matches!(call.endpoint.input, Input::Upload(_));
        let is_stream = matches!(call.endpoint.output, Output::JsonStream | Output::RawStream);
        let slow_percent = settings.breaker.slow_timeout_percent;
        Ok(Self {
            worker,
            service,
            group,
            started: now,
            permit: Some(permit),
            slow_after: (!is_upload).then(|| call.endpoint.policy.timeout * slow_percent / 100),
            is_measured: !is_upload && !is_stream,
        })
    }

    /// Whether it has taken longer than a connection takes to break under all its calls.
    pub(super) fn has_waited(&self) -> bool {
        self.started.elapsed() >= LONG
    }

    pub(crate) fn end<T>(mut self, outcome: &Result<T, Status>) {
        let took = self.started.elapsed();
        match outcome {
            Ok(_) => self.close(took, self.unless_slow(took, Outcome::Good), true),
            Err(status) => self.close_with(Fault::of(status), took),
        }
    }

    /// The deadline has passed.
    pub(crate) fn time_out(mut self) {
        let took = self.started.elapsed();
        self.close_with(Fault::TimedOut, took);
    }

    fn close_with(&mut self, fault: Fault, took: Duration) {
        match fault {
            Fault::None => self.close(took, self.unless_slow(took, Outcome::Good), false),
            Fault::Unreachable | Fault::Broken | Fault::Unavailable | Fault::Internal => {
                self.close(took, Outcome::Failed, false);
            }
            // A service that is being restarted says so for calls in between; it is not ill.
            // Nor is one that turns away what is too much: the others get their answers.
            Fault::NotProcessed | Fault::Shed => self.close(took, Outcome::Unknown, false),
            // Callers choose shorter deadlines than the policy's; those must not close the service to the others.
            Fault::TimedOut if self.is_slow(took) => self.close(took, Outcome::Failed, true),
            Fault::TimedOut => self.close(took, Outcome::Unknown, false),
        }
    }

    fn unless_slow(&self, took: Duration, otherwise: Outcome) -> Outcome {
        if self.is_slow(took) { Outcome::Slow } else { otherwise }
    }

    fn is_slow(&self, took: Duration) -> bool {
        self.slow_after.is_some_and(|limit| took >= limit)
    }

    fn close(&mut self, took: Duration, outcome: Outcome, is_telling: bool) {
        let Some(permit) = self.permit.take() else { return };
        let settings = self.worker.edge.settings.load();
        let ending = Ending {
            now: self.started + took,
            outcome,
            took: (is_telling && self.is_measured).then_some(took),
        };
        let resilience = &self.worker.resilience;
        resilience.end(&settings, (self.service, self.group), permit, ending);
    }
}

impl Drop for Attempt<'_> {
    /// Callers that lose patience are a sign of a slow service too.
    fn drop(&mut self) {
        if self.permit.is_some() {
            let took = self.started.elapsed();
            self.close(took, self.unless_slow(took, Outcome::Unknown), false);
        }
    }
}
