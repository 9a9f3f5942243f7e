//! What keeps a service that fails, or is slow, from taking the edge and its other callers down: breakers, limits, a budget
//! for second attempts. Each worker has its own of all of them, so that no call waits for another worker (ADR 10).

mod attempt;
mod breaker;
mod budget;
mod figures;
mod limit;
mod refuse;
mod repeat;
mod send;
mod settings;
mod uploads;
mod verdict;
mod window;

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::edge::Edge;
use crate::limit::Subject;
use crate::policy::RateClass;
use crate::problem::Problem;
use crate::settings::Settings;
use breaker::{Breaker, Outcome, Permit};
use budget::Budget;
use figures::{Refusal, SecondAttempt, WorkerFigures};
use limit::{Bounds, Limit};
use uploads::Uploads;

pub(crate) use attempt::Attempt;
pub use breaker::BreakerSettings;
pub use budget::RetrySettings;
pub(crate) use figures::Figures;
pub(crate) use repeat::Repeat;
pub(crate) use send::send;
pub use settings::OverloadSettings;
pub(crate) use uploads::UploadPlace;

/// However many workers there are, each waits for so many calls before it concludes anything.
const MINIMUM_CALLS: u32 = 5;

/// What one worker knows of the services, and what it lets through to them.
pub(crate) struct Resilience {
    services: Vec<Guarded>,
    workers: u32,
    requests: Cell<u32>,
    uploads: Uploads,
    figures: Figures,
    own_figures: Arc<WorkerFigures>,
}

/// One service, as one worker sees it.
struct Guarded {
    breakers: [RefCell<Breaker>; RateClass::ALL.len()],
    limit: RefCell<Limit>,
    budget: RefCell<Budget>,
}

/// How a call ended.
#[derive(Clone, Copy)]
struct Ending {
    now: Instant,
    outcome: Outcome,
    /// Nothing when its time says nothing of the service.
    took: Option<Duration>,
}

/// A request that is being worked on; dropping it makes room for another.
pub(crate) struct Place<'w>(&'w Cell<u32>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Resilience {
    /// For one of so many workers, which all get the same share of the traffic.
    pub(crate) fn new(edge: &Edge, workers: NonZeroUsize) -> Self {
        let now = Instant::now();
        let settings = edge.settings.load();
        let workers = u32::try_from(workers.get()).unwrap_or(u32::MAX);
        let bounds = bounds(&settings.overload, workers);
        let initial = Limit::new(now, bounds).current();
        let guarded = || Guarded {
            breakers: RateClass::ALL.map(|_| RefCell::new(Breaker::new(now))),
            limit: RefCell::new(Limit::new(now, bounds)),
            budget: RefCell::new(Budget::new(now, settings.retry.budget_per_second / f64::from(workers))),
        };
        Self {
            services: (0..edge.figures.services()).map(|_| guarded()).collect(),
            workers,
            requests: Cell::new(0),
            uploads: Uploads::default(),
            figures: edge.figures.clone(),
            own_figures: edge.figures.add_worker(initial),
        }
    }

    /// Lets a request in, at the door: before anything is read, checked or sent on for it.
    pub(crate) fn enter(
        &self,
        settings: &OverloadSettings,
        service: usize,
        group: RateClass,
    ) -> Result<Place<'_>, Problem> {
        if settings.enabled && self.requests.get() >= self.request_places(settings, group) {
            return Err(self.overloaded(service, group));
        }
        self.requests.set(self.requests.get() + 1);
        Ok(Place(&self.requests))
    }

    /// Counts an upload against the share that its caller has of the places for uploads.
    pub(crate) fn enter_upload(
        &self,
        settings: &OverloadSettings,
        (service, group): (usize, RateClass),
        subject: Subject,
    ) -> Result<UploadPlace<'_>, Problem> {
        let calls = self.services[service].limit.borrow().places(settings.share(group));
        let places = calls.min(self.request_places(settings, group));
        let share = match settings.enabled {
            true => settings.caller_share(places),
            false => u32::MAX,
        };
        self.uploads.enter(service, subject, share).ok_or_else(|| {
            self.figures.count_refusal(service, group, Refusal::CallerShare);
            refuse::too_many_uploads(share)
        })
    }

    /// Refuses what could not be sent on anyway, before its body is read.
    pub(crate) fn check_room(&self, settings: &Settings, service: usize, group: RateClass) -> Result<(), Problem> {
        let overload = &settings.overload;
        if overload.enabled && !self.services[service].limit.borrow().has_room(overload.share(group)) {
            return Err(self.overloaded(service, group));
        }
        Ok(())
    }

    /// Takes a place among the calls of a service, and asks its breaker.
    fn begin(&self, settings: &Settings, now: Instant, service: usize, group: RateClass) -> Result<Permit, Problem> {
        self.check_room(settings, service, group)?;
        let guarded = &self.services[service];
        let permit = self.change_breaker(service, group, |breaker| {
            breaker.admit(now, &self.breaker_settings(settings))
        });
        let permit = permit.map_err(|wait| {
            self.figures.count_refusal(service, group, Refusal::BreakerOpen);
            refuse::breaker_open(wait)
        })?;
        let mut limit = guarded.limit.borrow_mut();
        limit.enter();
        self.own_figures.set_calls(service, limit.under_way(), limit.current());
        Ok(permit)
    }

    /// Takes in what became of a call.
    fn end(&self, settings: &Settings, (service, group): (usize, RateClass), permit: Permit, ending: Ending) {
        let Ending { now, outcome, took } = ending;
        let jitter = match outcome {
            Outcome::Good | Outcome::Unknown => 0.0,
            Outcome::Slow | Outcome::Failed => rand::random(),
        };
        self.change_breaker(service, group, |breaker| {
            breaker.record(now, &self.breaker_settings(settings), permit, outcome, jitter);
        });
        let mut limit = self.services[service].limit.borrow_mut();
        limit.leave(now, took, &settings.overload, bounds(&settings.overload, self.workers));
        self.own_figures.set_calls(service, limit.under_way(), limit.current());
    }

    /// A call that is sent for the first time allows for a fifth of a second attempt of another.
    fn earn(&self, settings: &RetrySettings, service: usize) {
        let mut budget = self.services[service].budget.borrow_mut();
        budget.earn(settings, self.budget_per_second(settings));
    }

    /// Whether a second attempt may be made; `kind` is what it is for.
    fn spend(&self, settings: &RetrySettings, now: Instant, service: usize, kind: SecondAttempt) -> bool {
        let mut budget = self.services[service].budget.borrow_mut();
        let has_budget = budget.spend(now, self.budget_per_second(settings));
        let counted = if has_budget { kind } else { SecondAttempt::Saved };
        self.figures.count_second_attempt(service, counted);
        has_budget
    }

    /// How long a call of the service usually takes.
    fn usual(&self, service: usize) -> Duration {
        self.services[service].limit.borrow().usual()
    }

    fn change_breaker<T>(&self, service: usize, group: RateClass, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.services[service].breakers[group.place()].borrow_mut();
        let before = breaker.phase();
        let answer = change(&mut breaker);
        let after = breaker.phase();
        if before != after {
            self.own_figures.set_phase(service, group, after);
            self.figures.transition(service, group, before, after);
        }
        answer
    }

    /// How many requests there may be before one of the group is refused.
    fn request_places(&self, settings: &OverloadSettings, group: RateClass) -> u32 {
        let places = u64::from(settings.maximum_requests) * u64::from(settings.share(group)) / 100;
        let places = (places / u64::from(self.workers)).max(1);
        u32::try_from(places).unwrap_or(u32::MAX)
    }

    fn overloaded(&self, service: usize, group: RateClass) -> Problem {
        self.figures.count_refusal(service, group, Refusal::Overloaded);
        refuse::overloaded()
    }

    /// A worker sees its share of the calls only.
    fn breaker_settings(&self, settings: &Settings) -> BreakerSettings {
        BreakerSettings {
            minimum_calls: minimum_calls(settings.breaker.minimum_calls, self.workers),
            ..settings.breaker
        }
    }

    fn budget_per_second(&self, settings: &RetrySettings) -> f64 {
        settings.budget_per_second / f64::from(self.workers)
    }
}

/// A worker's part of the calls that a breaker waits for.
fn minimum_calls(for_all: u32, workers: u32) -> u32 {
    for_all.div_ceil(workers).max(MINIMUM_CALLS.min(for_all))
}

/// A worker's part of the bounds for the process.
fn bounds(settings: &OverloadSettings, workers: u32) -> Bounds {
    let part = |number: u32| number.div_ceil(workers).max(1);
    Bounds {
        initial: part(settings.initial_calls),
        minimum: part(settings.minimum_calls),
        maximum: part(settings.maximum_calls),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_divide_what_is_for_the_process() {
        let bounds = bounds(&OverloadSettings::default(), 3);

        assert_eq!((bounds.initial, bounds.minimum, bounds.maximum), (171, 11, 1_366));
        assert_eq!([1, 2, 4, 64].map(|workers| minimum_calls(20, workers)), [20, 10, 5, 5]);
        assert_eq!(minimum_calls(2, 8), 2, "somebody who wants fewer gets fewer");
    }
}
