//! How many failures are free, and how long the next attempt has to wait then. Pure; `count.lua` is the same in Redis.

/// Moments since 1970 and spans.
pub(super) type Millis = u64;

const SECOND: Millis = 1_000;

/// What one key is held to. Everybody may make an attempt that does not have to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// So many failures are free; the next one waits a second, and each one after it twice as long as the one before, up to
    /// the longest wait. Never for good.
    Ladder {
        free: u32,
        longest: Millis,
        /// The failures are forgotten when there has been none for so long.
        forgotten_after: Millis,
    },
    /// So many failures at once, and then one each time that `every` has passed.
    Allowance { burst: u32, every: Millis },
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// Of a ladder: the failures so far.
    pub(super) failures: u32,
    /// Of a ladder: until when nobody may try. Of an allowance: when it is whole again.
    pub(super) until: Millis,
}

impl Rule {
    /// The rule of a process that has to count alone: half as much is free.
    pub(super) fn alone(self) -> Rule {
        match self {
            Rule::Ladder {
                free,
                longest,
                forgotten_after,
            } => Rule::Ladder {
                free: (free / 2).max(1),
                longest,
                forgotten_after,
            },
            Rule::Allowance { burst, every } => Rule::Allowance {
                burst: (burst / 2).max(1),
                every: every * 2,
            },
        }
    }

    /// How long the next attempt has to wait. However clocks were set, that is never longer than the rule has it.
    pub(super) fn wait(self, standing: Standing, now: Millis) -> Millis {
        let left = standing.until.saturating_sub(now);
        match self {
            Rule::Ladder { .. } => left.min(self.step(standing.failures)),
            Rule::Allowance { burst, every } => {
                let window = every * u64::from(burst);
                every.saturating_sub(window - left.min(window))
            }
        }
    }

    /// Counts an attempt that does not have to wait, as a failure until it is known to be none.
    pub(super) fn count(self, standing: Standing, now: Millis) -> Standing {
        match self {
            Rule::Ladder { .. } => {
                let failures = standing.failures.saturating_add(1);
                let step = self.step(failures);
                Standing {
                    failures,
                    until: if step > 0 { now + step } else { 0 },
                }
            }
            Rule::Allowance { burst, every } => {
                let window = every * u64::from(burst);
                let left = standing.until.saturating_sub(now).min(window);
                Standing {
                    until: now + left + every,
                    ..standing
                }
            }
        }
    }

    /// The attempt that was counted has succeeded.
    pub(super) fn succeed(self, standing: Standing) -> Standing {
        match self {
            Rule::Ladder { .. } => Standing::default(),
            Rule::Allowance { .. } => self.withdraw(standing, standing.failures),
        }
    }

    /// The attempt that was counted as failure number `counted` has not been made. Others may have been counted since: what
    /// they have to wait stays.
    pub(super) fn withdraw(self, standing: Standing, counted: u32) -> Standing {
        match self {
            Rule::Ladder { .. } => Standing {
                failures: standing.failures.saturating_sub(1),
                until: if standing.failures == counted {
                    0
                } else {
                    standing.until
                },
            },
            Rule::Allowance { every, .. } => Standing {
                until: standing.until.saturating_sub(every),
                ..standing
            },
        }
    }

    /// In how long nothing is left to be known of a key that was counted at `now`.
    pub(super) fn kept_for(self, standing: Standing, now: Millis) -> Millis {
        match self {
            Rule::Ladder { forgotten_after, .. } => forgotten_after,
            Rule::Allowance { .. } => standing.until.saturating_sub(now),
        }
    }

    /// For how long a key that was counted at `now` must be known, so that forgetting it frees nobody from a wait.
    pub(super) fn kept_at_least_for(self, standing: Standing, now: Millis) -> Millis {
        match self {
            Rule::Ladder { longest, .. } => longest,
            Rule::Allowance { .. } => self.kept_for(standing, now),
        }
    }

    /// For how long a refusal is told of at least.
    pub(super) fn told_for(self) -> Millis {
        match self {
            Rule::Ladder { .. } => 0,
            Rule::Allowance { burst, every } => every * u64::from(burst),
        }
    }

    /// What so many failures make the next attempt wait.
    fn step(self, failures: u32) -> Millis {
        match self {
            Rule::Ladder { free, longest, .. } => match failures.checked_sub(free) {
                Some(beyond) => longest.min(2_u64.saturating_pow(beyond).saturating_mul(SECOND)),
                None => 0,
            },
            Rule::Allowance { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LADDER: Rule = Rule::Ladder {
        free: 5,
        longest: 900 * SECOND,
        forgotten_after: 24 * 3_600 * SECOND,
    };
    const ALLOWANCE: Rule = Rule::Allowance {
        burst: 3,
        every: 2 * SECOND,
    };
    const NOW: Millis = 1_800_000_000_000;

    fn waits(rule: Rule, attempts: usize) -> Vec<Millis> {
        let (mut standing, mut now) = (Standing::default(), NOW);
        let mut waits = Vec::new();
        for _ in 0..attempts {
            let wait = rule.wait(standing, now);
            waits.push(wait / SECOND);
            now += wait;
            assert_eq!(rule.wait(standing, now), 0);
            standing = rule.count(standing, now);
        }
        waits
    }

    #[test]
    fn five_failures_are_free_and_then_each_wait_is_twice_the_last_up_to_fifteen_minutes() {
        assert_eq!(
            waits(LADDER, 17),
            [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
        );
        assert_eq!(
            LADDER.wait(
                LADDER.count(
                    Standing {
                        failures: u32::MAX,
                        until: 0
                    },
                    NOW
                ),
                NOW
            ),
            900 * SECOND
        );
    }

    #[test]
    fn an_allowance_is_spent_at_once_and_then_comes_back_bit_by_bit() {
        assert_eq!(waits(ALLOWANCE, 6), [0, 0, 0, 2, 2, 2]);
    }

    #[test]
    fn alone_less_is_free() {
        assert_eq!(waits(LADDER.alone(), 4), [0, 0, 1, 2]);
        assert_eq!(waits(ALLOWANCE.alone(), 3), [0, 4, 4]);
    }

    #[test]
    fn what_succeeded_or_was_not_made_counts_as_nothing() {
        let four = Standing { failures: 4, until: 0 };
        let counted = LADDER.count(four, NOW);
        assert_eq!(LADDER.succeed(counted), Standing::default());
        assert_eq!(LADDER.withdraw(counted, 5), four);
        let spent = ALLOWANCE.count(Standing::default(), NOW);
        assert_eq!(ALLOWANCE.wait(ALLOWANCE.succeed(spent), NOW), 0);
        assert!(ALLOWANCE.succeed(spent).until <= NOW);
    }

    #[test]
    fn taking_one_back_does_not_end_the_wait_that_a_later_one_began() {
        let first = LADDER.count(Standing { failures: 5, until: 0 }, NOW);
        let second = LADDER.count(first, NOW + 2 * SECOND);

        let left = LADDER.withdraw(second, first.failures);

        assert_eq!((left.failures, left.until), (6, second.until));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_longer_than_the_rule() {
        let standing = LADDER.count(Standing { failures: 6, until: 0 }, NOW);
        assert_eq!(LADDER.wait(standing, NOW - 3_600 * SECOND), 4 * SECOND);
        let spent = Standing {
            until: NOW,
            failures: 0,
        };
        assert_eq!(ALLOWANCE.wait(spent, NOW - 3_600 * SECOND), 2 * SECOND);
    }
}
