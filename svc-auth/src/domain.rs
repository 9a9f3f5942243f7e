//! The life of a session: what happens when a refresh token is presented. Pure.

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::authentication::Authentication;

/// How long an access token can be used.
pub(crate) const ACCESS_TOKEN_LIFE: Duration = Duration::seconds(300);
/// A session that nobody refreshes ends after this long.
pub(crate) const SESSION_IDLE: Duration = Duration::days(30);
/// A session ends after this long however much it is used.
pub(crate) const SESSION_LIFE: Duration = Duration::days(90);
/// Within this time of a refresh, the token before it gets the same answer again: the first one may have been lost.
pub(crate) const REISSUE_WINDOW: Duration = Duration::seconds(10);

/// A session as far as its refresh tokens are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionState {
    /// The generation of the token that is good now.
    pub generation: i64,
    /// When that generation began.
    pub rotated_at: OffsetDateTime,
    /// When the session ends at the latest.
    pub expires_at: OffsetDateTime,
    pub revoked: bool,
    /// Whether the user has been logged out everywhere since.
    pub epoch_is_over: bool,
}

/// What presenting an authentic refresh token leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A new generation begins; its token is the answer.
    Rotate(SessionState),
    /// The answer is the current token once more: the same bytes as before.
    Reissue,
    /// A token was used that had been replaced: somebody else has it. The session ends.
    Reused(SessionState),
    /// The session has ended.
    Ended,
}

impl SessionState {
    pub(crate) fn new(now: OffsetDateTime) -> SessionState {
        SessionState {
            generation: 1,
            rotated_at: now,
            expires_at: now + SESSION_LIFE,
            revoked: false,
            epoch_is_over: false,
        }
    }

    /// Judges an authentic token of generation `presented`. The one state transition of a session besides logging out.
    pub(crate) fn present(self, presented: i64, now: OffsetDateTime) -> Verdict {
        // A generation that is yet to come is authentic only after the database went back in time: nobody's to use.
        if self.revoked || self.epoch_is_over || self.has_expired(now) || presented > self.generation {
            return Verdict::Ended;
        }
        if presented == self.generation {
            return Verdict::Rotate(SessionState {
                generation: self.generation + 1,
                rotated_at: now,
                ..self
            });
        }
        if presented == self.generation - 1 && now - self.rotated_at <= REISSUE_WINDOW {
            return Verdict::Reissue;
        }
        Verdict::Reused(SessionState { revoked: true, ..self })
    }

    fn has_expired(self, now: OffsetDateTime) -> bool {
        now >= self.expires_at || now - self.rotated_at >= SESSION_IDLE
    }
}

/// Everything a client is told of a session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub id: Uuid,
    pub user_id: Uuid,
    pub user_agent: String,
    /// What its user calls it.
    pub name: String,
    /// Where it was last refreshed from; empty when that is not known.
    pub address: String,
    pub created_at: OffsetDateTime,
    /// How its user was last recognised. No refresh changes it.
    pub authentication: Authentication,
    pub state: SessionState,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: OffsetDateTime = time::macros::datetime!(2026-11-01 12:00 UTC);

    fn rotated(state: SessionState, now: OffsetDateTime) -> SessionState {
        match state.present(state.generation, now) {
            Verdict::Rotate(next) => next,
            other => panic!("expected a rotation, not {other:?}"),
        }
    }

    #[test]
    fn the_current_token_begins_a_new_generation() {
        let next = rotated(SessionState::new(START), START + Duration::hours(1));

        assert_eq!(next.generation, 2);
        assert_eq!(next.rotated_at, START + Duration::hours(1));
        assert_eq!(next.expires_at, START + SESSION_LIFE);
    }

    #[test]
    fn the_token_before_it_is_answered_again_for_ten_seconds_and_then_ends_the_session() {
        let state = rotated(SessionState::new(START), START);

        assert_eq!(state.present(1, START + Duration::seconds(10)), Verdict::Reissue);

        let late = state.present(1, START + Duration::milliseconds(10_001));
        assert!(matches!(late, Verdict::Reused(ended) if ended.revoked));
    }

    #[test]
    fn a_token_two_generations_old_ends_the_session_at_once() {
        let state = rotated(rotated(SessionState::new(START), START), START);

        assert!(matches!(state.present(1, START), Verdict::Reused(_)));
    }

    #[test]
    fn a_session_ends_when_idle_when_old_when_revoked_and_when_its_epoch_is_over() {
        let state = SessionState::new(START);
        let mut used = state;
        for day in 1..90 {
            used = rotated(used, START + Duration::days(day));
        }

        assert_eq!(state.present(1, START + SESSION_IDLE), Verdict::Ended);
        assert_eq!(used.present(used.generation, START + SESSION_LIFE), Verdict::Ended);
        for ended in [
            SessionState { revoked: true, ..state },
            SessionState {
                epoch_is_over: true,
                ..state
            },
        ] {
            assert_eq!(ended.present(1, START), Verdict::Ended);
        }
    }

    #[test]
    fn a_generation_that_is_yet_to_come_is_good_for_nothing() {
        assert_eq!(SessionState::new(START).present(2, START), Verdict::Ended);
    }

    /// What clients and networks do to a session.
    #[derive(Debug, Clone)]
    enum Action {
        /// A client sends its token and gets the answer.
        Refresh { client: usize },
        /// A client sends its token; the answer is lost.
        RefreshLost { client: usize },
        /// The network delivers a client's request twice; the second answer arrives.
        RefreshTwice { client: usize },
        /// Somebody sends a token that was issued before.
        Replay { age: i64 },
        /// Time passes.
        Wait { seconds: i64 },
        /// One client hands its token to another.
        Copy { from: usize, to: usize },
    }

    fn action() -> impl Strategy<Value = Action> {
        let client = || 0..4_usize;
        prop_oneof![
            4 => client().prop_map(|client| Action::Refresh { client }),
            2 => client().prop_map(|client| Action::RefreshLost { client }),
            2 => client().prop_map(|client| Action::RefreshTwice { client }),
            1 => (0..5_i64).prop_map(|age| Action::Replay { age }),
            3 => (0..15_i64).prop_map(|seconds| Action::Wait { seconds }),
            2 => (client(), client()).prop_map(|(from, to)| Action::Copy { from, to }),
        ]
    }

    /// A session and the clients that hold its tokens. A token is its generation: it is derived from it alone.
    struct World {
        session: SessionState,
        clients: [i64; 4],
        now: OffsetDateTime,
        reuse_seen: bool,
    }

    impl World {
        fn present(&mut self, token: i64) -> Option<i64> {
            let verdict = self.session.present(token, self.now);
            let issued = match verdict {
                Verdict::Rotate(next) => {
                    assert_eq!(token, self.session.generation, "only the live generation rotates");
                    self.session = next;
                    Some(next.generation)
                }
                Verdict::Reissue => Some(self.session.generation),
                Verdict::Reused(next) => {
                    self.session = next;
                    self.reuse_seen = true;
                    return None;
                }
                Verdict::Ended => None,
            };
            assert!(issued.is_none() || !self.reuse_seen, "nothing is issued after a reuse");
            issued
        }

        fn live_generations(&self) -> usize {
            (0..=self.session.generation + 1)
                .filter(|token| matches!(self.session.present(*token, self.now), Verdict::Rotate(_)))
                .count()
        }

        fn act(&mut self, action: &Action) {
            match *action {
                Action::Refresh { client } => {
                    if let Some(token) = self.present(self.clients[client]) {
                        self.clients[client] = token;
                    }
                }
                Action::RefreshLost { client } => {
                    self.present(self.clients[client]);
                }
                Action::RefreshTwice { client } => {
                    let token = self.clients[client];
                    let first = self.present(token);
                    let second = self.present(token);
                    assert_eq!(first, second, "a repeated request gets the same token");
                    self.clients[client] = second.unwrap_or(token);
                }
                Action::Replay { age } => {
                    self.present(self.session.generation - age);
                }
                Action::Wait { seconds } => self.now += Duration::seconds(seconds),
                Action::Copy { from, to } => self.clients[to] = self.clients[from],
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_clients_and_networks_do_one_generation_lives_and_a_reuse_ends_all(
            actions in proptest::collection::vec(action(), 0..60)
        ) {
            let mut world = World { session: SessionState::new(START), clients: [1; 4], now: START, reuse_seen: false };

            for action in &actions {
                world.act(action);

                let expected = usize::from(!world.reuse_seen);
                prop_assert_eq!(world.live_generations(), expected);
            }
        }
    }
}
