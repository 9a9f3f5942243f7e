//! The generic cell rate algorithm: a token bucket kept as one number, the moment at which it is full again. This is the
//! rule of `limit/take.lua` too.

/// Moments and spans on some clock, in microseconds.
pub(crate) type Micros = u64;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rate {
    /// The time in which one token comes.
    pub(crate) token: Micros,
    /// The tokens of a full bucket, at least one.
    pub(crate) burst: u32,
}

/// What became of an attempt to take tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Taken {
    /// The cost and what was spare of the extra, or nothing at all.
    pub(crate) granted: u32,
    /// In how long the bucket is full.
    pub(crate) full_in: Micros,
    /// In how long the cost can be had, when it was refused.
    pub(crate) retry_in: Micros,
}

impl Rate {
    /// What one of several replicas may give when it cannot ask the others. Its bucket takes as long to fill as the whole
    /// one, so that the moment at which either is full means the same share of tokens in both.
    pub(crate) fn share(self, replicas: u32) -> Self {
        Self {
            token: self.token * u64::from(replicas),
            burst: (self.burst / replicas).max(1),
        }
    }

    /// How long an empty bucket takes to fill.
    pub(crate) fn window(self) -> Micros {
        self.token * u64::from(self.burst)
    }

    /// How many tokens are in a bucket that is full at `full_at`.
    pub(crate) fn available(self, full_at: Micros, now: Micros) -> u32 {
        let free = self.window().saturating_sub(full_at.saturating_sub(now));
        u32::try_from(free / self.token).unwrap_or(u32::MAX)
    }

    /// A call that costs more than a full bucket empties it; it would never be answered otherwise.
    pub(crate) fn payable(self, cost: u32) -> u32 {
        cost.min(self.burst)
    }
}

/// Takes `cost` tokens, and up to `extra` more of what is left, but at most half of that: others may want some. A full
/// moment more than a window away is from another clock or another setting, and is an empty bucket's.
pub(crate) fn take(rate: Rate, full_at: &mut Micros, now: Micros, cost: u32, extra: u32) -> Taken {
    let until_full = full_at.saturating_sub(now).min(rate.window());
    let free = rate.window() - until_full;
    let price = u64::from(cost) * rate.token;
    if price > free {
        *full_at = now + until_full;
        return Taken {
            granted: 0,
            full_in: until_full,
            retry_in: price - free,
        };
    }
    let spare = (free - price) / rate.token / 2;
    let granted = cost + extra.min(u32::try_from(spare).unwrap_or(u32::MAX));
    let full_in = until_full + u64::from(granted) * rate.token;
    *full_at = now + full_in;
    Taken {
        granted,
        full_in,
        retry_in: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { token: 100, burst: 10 };

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_a_token_in_time() {
        let mut full_at = 0;
        for left in (0..10).rev() {
            assert_eq!(take(RATE, &mut full_at, 5_000, 1, 0).granted, 1);
            assert_eq!(RATE.available(full_at, 5_000), left);
        }

        let refused = take(RATE, &mut full_at, 5_000, 3, 0);
        assert_eq!((refused.granted, refused.retry_in, refused.full_in), (0, 300, 1_000));
        assert_eq!(take(RATE, &mut full_at, 5_299, 3, 0).granted, 0);
        assert_eq!(take(RATE, &mut full_at, 5_300, 3, 0).granted, 3);
    }

    #[test]
    fn of_the_extra_at_most_half_of_the_rest_is_given() {
        let mut full_at = 0;

        assert_eq!(take(RATE, &mut full_at, 0, 2, 100).granted, 2 + 4);
        assert_eq!(take(RATE, &mut full_at, 0, 0, 100).granted, 2);
        assert_eq!(take(RATE, &mut full_at, 0, 1, 0).granted, 1);
        assert_eq!(take(RATE, &mut full_at, 0, 1, 100).granted, 1);
        assert_eq!(take(RATE, &mut full_at, 0, 0, 100).granted, 0);
    }

    #[test]
    fn a_moment_from_another_clock_closes_no_bucket_for_longer_than_a_window() {
        let mut full_at = 1_000_000;

        assert_eq!(take(RATE, &mut full_at, 0, 1, 0).retry_in, 100);
        assert_eq!(full_at, RATE.window());
    }

    #[test]
    fn shares_add_up_to_the_whole_and_are_never_nothing() {
        assert_eq!(RATE.share(2), Rate { token: 200, burst: 5 });
        assert_eq!(RATE.share(20), Rate { token: 2_000, burst: 1 });
        assert_eq!(RATE.share(2).available(600, 0), 2);
        assert_eq!(RATE.available(600, 0), 4);
    }
}
