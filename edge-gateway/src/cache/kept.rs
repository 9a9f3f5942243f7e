//! An answer that is kept, and what may be done with it.

use std::time::{Duration, Instant};

use crate::cache::generations::{Change, Stamp};
use crate::policy::Keeping;
use crate::respond::Content;

/// An answer with what it takes to say whether it still holds.
pub(crate) struct Kept {
    pub(crate) content: Content,
    /// When the service was asked: nothing that happened later is sure to be in it.
    pub(crate) asked: Instant,
    /// What was known to have changed by then; nothing for answers that are everyone's, which no event tells of.
    pub(crate) stamp: Option<Stamp>,
}

/// What may be done with a kept answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Usable {
    /// It is served as if the service had answered just now.
    Fresh,
    /// It is served, and a new one is fetched meanwhile.
    WhileRevalidating,
    /// It is served when the service fails.
    IfError,
    Never,
}

impl Usable {
    /// What is known to have changed is never served again: whoever changed it has seen the new state.
    pub(crate) fn at_age(age: Duration, keeping: &Keeping, change: Change) -> Self {
        let is_within = |extra: Duration| age < keeping.max_age + extra;
        match change {
            Change::None if is_within(Duration::ZERO) => Self::Fresh,
            Change::None if is_within(keeping.stale_while_revalidate) => Self::WhileRevalidating,
            Change::None | Change::Possible if is_within(keeping.stale_if_error) => Self::IfError,
            Change::None | Change::Possible | Change::Known => Self::Never,
        }
    }
}

/// For how many seconds more it is fresh; below zero for one that is served stale, whatever made it so.
pub(crate) fn time_to_live(age: Duration, keeping: &Keeping, usable: Usable) -> i64 {
    let remaining = seconds(keeping.max_age) - seconds(age);
    match usable {
        Usable::Fresh => remaining.max(0),
        Usable::WhileRevalidating | Usable::IfError | Usable::Never => remaining.min(-1),
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Sharing;

    const KEEPING: Keeping = Keeping {
        sharing: Sharing::SameUser,
        max_age: Duration::from_secs(10),
        stale_while_revalidate: Duration::from_secs(20),
        stale_if_error: Duration::from_secs(60),
    };

    fn at(seconds: u64, change: Change) -> Usable {
        Usable::at_age(Duration::from_secs(seconds), &KEEPING, change)
    }

    #[test]
    fn an_answer_is_fresh_then_stale_then_gone() {
        assert_eq!(at(0, Change::None), Usable::Fresh);
        assert_eq!(at(9, Change::None), Usable::Fresh);
        assert_eq!(at(10, Change::None), Usable::WhileRevalidating);
        assert_eq!(at(29, Change::None), Usable::WhileRevalidating);
        assert_eq!(at(30, Change::None), Usable::IfError);
        assert_eq!(at(69, Change::None), Usable::IfError);
        assert_eq!(at(70, Change::None), Usable::Never);
    }

    #[test]
    fn what_may_have_changed_is_for_failures_alone_and_what_has_changed_for_nothing() {
        assert_eq!(at(0, Change::Possible), Usable::IfError);
        assert_eq!(at(69, Change::Possible), Usable::IfError);
        assert_eq!(at(70, Change::Possible), Usable::Never);
        assert_eq!(at(0, Change::Known), Usable::Never);
    }

    #[test]
    fn a_stale_answer_has_a_time_to_live_below_zero() {
        let time_to_live = |seconds, usable| super::time_to_live(Duration::from_secs(seconds), &KEEPING, usable);

        assert_eq!(time_to_live(3, Usable::Fresh), 7);
        assert_eq!(time_to_live(40, Usable::IfError), -30);
        assert_eq!(time_to_live(3, Usable::IfError), -1);
    }
}
