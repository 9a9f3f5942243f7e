//! What a task is and how its state may change. Pure: the store applies what is decided here.

use std::time::Duration;

use rand::{Rng, RngExt};
use time::OffsetDateTime;
use uuid::Uuid;

const SHORTEST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(120);
/// So many leases in a row, lost without a word and without progress: the task kills its workers.
const MAX_LOSSES: i32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Queued,
    Running,
    Retrying,
    WaitingInput,
    Cancelling,
    Succeeded,
    Failed,
    Cancelled,
}

/// What can happen to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker takes it.
    Claim,
    /// Its worker has done all.
    Succeed,
    /// Its worker has stopped because it was asked to.
    Stop,
    /// The attempt failed, or its worker fell silent, and another attempt may do better.
    Interrupt,
    /// The attempt failed, and no other will follow.
    GiveUp,
    /// Its owner wants it to end.
    Cancel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IllegalChange;

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) state: State,
    pub(crate) progress: Progress,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) failures: i32,
    pub(crate) losses: i32,
    pub(crate) error: Option<Failure>,
    pub(crate) next_attempt_at: Option<OffsetDateTime>,
    pub(crate) lease_token: Option<i64>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) done: i32,
    pub(crate) total: i32,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) description: String,
}

/// How a worker ends an attempt.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Succeeded,
    Failed { failure: Failure, retryable: bool },
    Cancelled,
}

impl State {
    pub(crate) const ALL: [State; 8] = [
        State::Queued,
        State::Running,
        State::Retrying,
        State::WaitingInput,
        State::Cancelling,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
    ];

    /// The state machine: the only one there is.
    pub(crate) fn after(self, event: Event) -> Result<State, IllegalChange> {
        match (event, self) {
            (Event::Claim, State::Queued | State::Retrying | State::Running) => Ok(State::Running),
            (Event::Succeed, State::Running | State::Cancelling) => Ok(State::Succeeded),
            (Event::Interrupt, State::Running) => Ok(State::Retrying),
            (Event::GiveUp, State::Running) => Ok(State::Failed),
            (Event::Stop | Event::Interrupt | Event::GiveUp, State::Cancelling) => Ok(State::Cancelled),
            (Event::Cancel, State::Queued | State::Retrying | State::WaitingInput) => Ok(State::Cancelled),
            (Event::Cancel, State::Running) => Ok(State::Cancelling),
            (
                Event::Claim | Event::Succeed | Event::Stop | Event::Interrupt | Event::GiveUp | Event::Cancel,
                State::Queued
                | State::Running
                | State::Retrying
                | State::WaitingInput
                | State::Cancelling
                | State::Succeeded
                | State::Failed
                | State::Cancelled,
            ) => Err(IllegalChange),
        }
    }

    pub(crate) fn has_ended(self) -> bool {
        match self {
            State::Succeeded | State::Failed | State::Cancelled => true,
            State::Queued | State::Running | State::Retrying | State::WaitingInput | State::Cancelling => false,
        }
    }

    /// A worker has it, as long as its lease holds.
    pub(crate) fn is_leased(self) -> bool {
        match self {
            State::Running | State::Cancelling => true,
            State::Queued
            | State::Retrying
            | State::WaitingInput
            | State::Succeeded
            | State::Failed
            | State::Cancelled => false,
        }
    }

    /// The name on the wire, in rows and in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Queued => "QUEUED",
            State::Running => "RUNNING",
            State::Retrying => "RETRYING",
            State::WaitingInput => "WAITING_INPUT",
            State::Cancelling => "CANCELLING",
            State::Succeeded => "SUCCEEDED",
            State::Failed => "FAILED",
            State::Cancelled => "CANCELLED",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl Outcome {
    /// What the outcome means for the task. A failure that may be tried again still ends it at the last attempt.
    pub(crate) fn event(&self, task: &Task) -> Event {
        match self {
            Outcome::Succeeded => Event::Succeed,
            Outcome::Cancelled => Event::Stop,
            Outcome::Failed { retryable, .. } if *retryable && task.failures + 1 < task.max_attempts => {
                Event::Interrupt
            }
            Outcome::Failed { .. } => Event::GiveUp,
        }
    }
}

impl Task {
    /// What a lost lease means. A worker that dies has not failed: it uses up no attempt, and another takes the attempt
    /// over, unless one after the other dies without getting any further.
    pub(crate) fn event_of_lost_lease(&self) -> Event {
        if self.losses + 1 < MAX_LOSSES {
            Event::Interrupt
        } else {
            Event::GiveUp
        }
    }
}

impl Failure {
    pub(crate) fn of_lost_workers() -> Failure {
        Failure {
            reason: "WORKERS_LOST".to_owned(),
            description: "every worker that took the task vanished without getting any further".to_owned(),
        }
    }
}

/// How long to wait after the `count`th failure in a row: exponential, with full jitter, so that what failed together
/// does not come back together.
pub(crate) fn backoff(count: i32, random: &mut impl Rng) -> Duration {
    let doublings = u32::try_from(count.saturating_sub(1)).unwrap_or_default().min(16);
    let longest = (SHORTEST_BACKOFF * 2u32.pow(doublings)).min(LONGEST_BACKOFF);
    longest.mul_f64(random.random())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const EVENTS: [Event; 6] = [
        Event::Claim,
        Event::Succeed,
        Event::Stop,
        Event::Interrupt,
        Event::GiveUp,
        Event::Cancel,
    ];

    #[test]
    fn an_ended_task_never_changes_again() {
        for state in State::ALL.into_iter().filter(|state| state.has_ended()) {
            for event in EVENTS {
                assert_eq!(state.after(event), Err(IllegalChange), "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn every_open_task_can_be_cancelled() {
        for state in State::ALL
            .into_iter()
            .filter(|state| !state.has_ended() && *state != State::Cancelling)
        {
            assert!(
                matches!(state.after(Event::Cancel), Ok(State::Cancelled | State::Cancelling)),
                "{state:?}"
            );
        }
    }

    #[test]
    fn the_trigger_knows_exactly_this_state_machine() {
        let migration = include_str!("../migrations/2026112301_tasks.sql");
        let trigger = migration.split("FUNCTION refuse_illegal_change()").nth(1).unwrap();
        let listed = trigger.split_once("NOT IN (").unwrap().1.split_once(')').unwrap().0;
        let mut listed: Vec<String> = listed
            .split(',')
            .map(|pair| pair.trim().trim_matches('\'').to_owned())
            .collect();
        let every = State::ALL
            .into_iter()
            .flat_map(|state| EVENTS.map(|event| (state, state.after(event))));
        let changes = every
            .filter_map(|(from, to)| Some((from, to.ok()?)))
            .filter(|(from, to)| from != to);
        let mut legal: Vec<String> = changes
            .map(|(from, to)| format!("{} {}", from.name(), to.name()))
            .collect();

        listed.sort();
        legal.sort();
        legal.dedup();

        assert_eq!(listed, legal);
    }

    #[test]
    fn names_are_read_back() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
        assert_eq!(State::from_name("DONE"), None);
    }

    proptest! {
        /// Whatever happens in whatever order: a task that was asked to end never works for anybody again.
        #[test]
        fn a_task_asked_to_end_is_never_claimed_again(events in prop::collection::vec(prop::sample::select(&EVENTS), 0..40)) {
            let mut state = State::Queued;
            let mut asked_to_end = false;
            for event in events {
                let Ok(next) = state.after(event) else { continue };
                asked_to_end |= event == Event::Cancel;
                prop_assert!(!(asked_to_end && next == State::Running));
                prop_assert!(!(asked_to_end && next == State::Retrying));
                prop_assert!(next != State::Cancelled || asked_to_end);
                state = next;
            }
        }

        #[test]
        fn backoff_grows_to_its_limit_and_no_further(count in -3..1000i32, seed: u64) {
            let pause = backoff(count, &mut StdRng::seed_from_u64(seed));

            let limit = match count {
                ..=1 => Duration::from_secs(1),
                2 => Duration::from_secs(2),
                _ => LONGEST_BACKOFF,
            };
            prop_assert!(pause <= limit);
        }
    }
}
