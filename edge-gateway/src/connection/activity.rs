//! What a connection and the requests on it know of each other.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use actix_web::HttpRequest;

use super::settings::ConnectionSettings;

/// What a connection is doing. Time-outs follow from it, and not from bytes alone: one byte a second may be a caller that
/// means harm, or a stream of events on a quiet day.
pub(super) struct Activity {
    /// Answers being worked on or written.
    answering: Cell<u32>,
    /// When bytes began to come that no request has been made of yet.
    unread_since: Cell<Option<Instant>>,
    /// When the connection began, or its last answer was given.
    quiet_since: Cell<Instant>,
    has_asked: Cell<bool>,
}

/// As long as it lives, an answer is being worked on, and takes the time it takes.
pub(crate) struct Answering(Option<Rc<Activity>>);

/// Why a connection has no more time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Overdue {
    Head,
    Idle,
    Write,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            answering: Cell::new(0),
            unread_since: Cell::new(None),
            quiet_since: Cell::new(now),
            has_asked: Cell::new(false),
        }
    }

    /// Bytes have come.
    pub(super) fn received(&self, now: impl FnOnce() -> Instant) {
        if self.answering.get() == 0 && self.unread_since.get().is_none() {
            self.unread_since.set(Some(now()));
        }
    }

    /// The caller has taken bytes after a time in which it took none.
    pub(super) fn resumed(&self, now: Instant) {
        self.quiet_since.set(now);
    }

    fn begin(&self) {
        self.answering.set(self.answering.get() + 1);
        self.unread_since.set(None);
        self.has_asked.set(true);
    }

    fn end(&self, now: Instant) {
        self.answering.set(self.answering.get() - 1);
        self.quiet_since.set(now);
    }

    /// What the caller has had enough time for. Bodies are watched where they are read.
    pub(super) fn overdue(&self, settings: &ConnectionSettings, now: Instant) -> Option<Overdue> {
        if self.answering.get() > 0 {
            return None;
        }
        let is_over = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        match self.unread_since.get() {
            Some(since) if is_over(since, settings.head()) => Some(Overdue::Head),
            Some(_) => None,
            None if !self.has_asked.get() && is_over(self.quiet_since.get(), settings.head()) => Some(Overdue::Head),
            None if is_over(self.quiet_since.get(), settings.keep_alive()) => Some(Overdue::Idle),
            None => None,
        }
    }
}

impl Answering {
    /// On the request's connection.
    pub(crate) fn begin(request: &HttpRequest) -> Self {
        let activity = request.conn_data::<Rc<Activity>>().cloned();
        if let Some(activity) = &activity {
            activity.begin();
        }
        Self(activity)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(activity) = &self.0 {
            activity.end(Instant::now());
        }
    }
}

impl Overdue {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Idle => "idle",
            Self::Write => "write",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SETTINGS: ConnectionSettings = ConnectionSettings {
        head_ms: 10_000,
        keep_alive_ms: 75_000,
        ..ConnectionSettings::DEFAULT
    };

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn whoever_says_nothing_or_does_not_end_its_head_has_the_time_of_a_head() {
        let start = Instant::now();
        let silent = Activity::new(start);
        let dripping = Activity::new(start);
        dripping.received(|| after(start, 5));
        dripping.received(|| after(start, 14));

        assert_eq!(silent.overdue(&SETTINGS, after(start, 9)), None);
        assert_eq!(silent.overdue(&SETTINGS, after(start, 10)), Some(Overdue::Head));
        assert_eq!(dripping.overdue(&SETTINGS, after(start, 14)), None);
        assert_eq!(dripping.overdue(&SETTINGS, after(start, 15)), Some(Overdue::Head));
    }

    #[test]
    fn an_answer_takes_its_time_and_the_next_head_has_the_time_of_a_head_again() {
        let start = Instant::now();
        let activity = Activity::new(start);
        activity.received(|| start);
        activity.begin();
        activity.received(|| after(start, 3000));

        assert_eq!(activity.overdue(&SETTINGS, after(start, 3600)), None);
        activity.end(after(start, 4000));
        assert_eq!(activity.overdue(&SETTINGS, after(start, 4074)), None);
        assert_eq!(activity.overdue(&SETTINGS, after(start, 4075)), Some(Overdue::Idle));
        activity.received(|| after(start, 4050));
        assert_eq!(activity.overdue(&SETTINGS, after(start, 4059)), None);
        assert_eq!(activity.overdue(&SETTINGS, after(start, 4060)), Some(Overdue::Head));
    }
}
