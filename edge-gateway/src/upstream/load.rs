//! How busy an endpoint seems to one worker, and which of several is the better choice. No clock and no chance in here.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What is assumed of an endpoint that has not answered yet.
const FIRST_LATENCY_SECONDS: f64 = 0.001;
/// Below this, latencies differ by chance alone.
const LEAST_LATENCY_SECONDS: f64 = 0.0001;
/// After this long an old latency counts for a third.
const MEMORY_SECONDS: f64 = 10.0;
/// What a refusal counts for. It comes at once, and without this the endpoint that refuses would look like the fastest.
const REFUSAL_SECONDS: f64 = 1.0;
/// With calls under way and no answer for this long, an endpoint is taken for dead as long as there are others.
const SILENCE: Duration = Duration::from_millis(750);
/// Added for one that is silent: more than any latency and any queue.
const SILENCE_SECONDS: f64 = 1e6;

/// How a call ended, as far as the choice of endpoints cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    Answered,
    /// The endpoint had no room for it.
    Refused,
    /// Nobody waited for the end.
    Abandoned,
}

/// Calls under way, and a moving average of the latency that follows a rise at once and a fall slowly (Finagle's peak EWMA).
#[derive(Debug)]
pub(crate) struct Load {
    calls: Cell<u32>,
    latency_seconds: Cell<f64>,
    changed: Cell<Instant>,
    /// When calls were under way first since the last answer.
    waiting_since: Cell<Option<Instant>>,
}

impl Load {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            calls: Cell::new(0),
            latency_seconds: Cell::new(FIRST_LATENCY_SECONDS),
            changed: Cell::new(now),
            waiting_since: Cell::new(None),
        }
    }

    pub(crate) fn begin(&self, now: Instant) {
        self.calls.set(self.calls.get() + 1);
        if self.waiting_since.get().is_none() {
            self.waiting_since.set(Some(now));
        }
    }

    /// `latency` is nothing for a call whose length says nothing, such as a stream's.
    pub(crate) fn end(&self, now: Instant, latency: Option<Duration>, ending: Ending) {
        self.calls.set(self.calls.get().saturating_sub(1));
        if ending != Ending::Abandoned || self.calls.get() == 0 {
            self.waiting_since.set((self.calls.get() > 0).then_some(now));
        }
        let Some(latency) = latency else { return };
        let seconds = latency.as_secs_f64();
        match ending {
            Ending::Answered => self.observe(now, seconds),
            Ending::Refused => self.observe(now, seconds.max(REFUSAL_SECONDS)),
            // It would have taken at least so long.
            Ending::Abandoned if seconds > self.latency_seconds.get() => self.observe(now, seconds),
            Ending::Abandoned => {}
        }
    }

    /// What one more call would have to wait, roughly.
    pub(crate) fn cost(&self, now: Instant) -> f64 {
        let latency = self.faded(now, 0.0).max(LEAST_LATENCY_SECONDS);
        let cost = latency * f64::from(self.calls.get() + 1);
        if self.is_silent(now) {
            cost + SILENCE_SECONDS
        } else {
            cost
        }
    }

    fn is_silent(&self, now: Instant) -> bool {
        let silence = self
            .waiting_since
            .get()
            .map(|since| now.saturating_duration_since(since));
        silence.is_some_and(|silence| silence > SILENCE)
    }

    fn observe(&self, now: Instant, seconds: f64) {
        let latency = if seconds > self.latency_seconds.get() {
            seconds
        } else {
            self.faded(now, seconds)
        };
        self.latency_seconds.set(latency);
        self.changed.set(now);
    }

    /// The latency on its way to `target` since it was last changed.
    fn faded(&self, now: Instant, target: f64) -> f64 {
        let age = now.saturating_duration_since(self.changed.get()).as_secs_f64();
        let weight = (-age / MEMORY_SECONDS).exp();
        self.latency_seconds.get() * weight + target * (1.0 - weight)
    }
}

/// The cheaper of two taken by chance: nearly as good as the best of all, and without everybody running to the same one.
/// What has no cost cannot be taken; nothing is left only when that is true of all.
pub(crate) fn choose<T>(items: &[T], random: u64, cost: impl Fn(&T) -> Option<f64>) -> Option<&T> {
    let count = items.len();
    let first = usize::try_from((random >> 32) % count.max(1) as u64).unwrap_or_default();
    if count < 2 {
        return items.first().filter(|item| cost(item).is_some());
    }
    let step = 1 + usize::try_from((random & 0xffff_ffff) % (count - 1) as u64).unwrap_or_default();
    let second = (first + step) % count;
    match (cost(&items[first]), cost(&items[second])) {
        (Some(one), Some(other)) if one <= other => Some(&items[first]),
        (_, Some(_)) => Some(&items[second]),
        (Some(_), None) => Some(&items[first]),
        (None, None) => {
            let (before, after) = items.split_at(first);
            after.iter().chain(before).find(|item| cost(item).is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn ended(load: &Load, now: Instant, latency: Duration, ending: Ending) {
        load.begin(now);
        load.end(now, Some(latency), ending);
    }

    #[test]
    fn a_busier_and_a_slower_endpoint_cost_more() {
        let now = Instant::now();
        let (idle, busy, slow) = (Load::new(now), Load::new(now), Load::new(now));

        busy.begin(now);
        ended(&slow, now, MILLISECOND * 20, Ending::Answered);

        assert!(idle.cost(now) < busy.cost(now));
        assert!(busy.cost(now) < slow.cost(now));
    }

    #[test]
    fn a_refusal_costs_more_than_a_slow_answer_however_fast_it_came() {
        let now = Instant::now();
        let (refusing, slow) = (Load::new(now), Load::new(now));

        ended(&refusing, now, MILLISECOND / 10, Ending::Refused);
        ended(&slow, now, MILLISECOND * 200, Ending::Answered);

        assert!(refusing.cost(now) > slow.cost(now));
    }

    #[test]
    fn a_rise_counts_at_once_and_is_forgotten_slowly() {
        let now = Instant::now();
        let load = Load::new(now);

        ended(&load, now, MILLISECOND * 500, Ending::Answered);
        let risen = load.cost(now);
        ended(&load, now + MILLISECOND * 100, MILLISECOND, Ending::Answered);
        let soon = load.cost(now + MILLISECOND * 100);
        ended(&load, now + Duration::from_secs(60), MILLISECOND, Ending::Answered);
        let late = load.cost(now + Duration::from_secs(60));

        assert!(
            risen > 0.49 && soon > 0.9 * risen && late < 0.01 * risen,
            "{risen} {soon} {late}"
        );
    }

    #[test]
    fn an_endpoint_that_says_nothing_costs_more_than_any_other_until_it_speaks() {
        let now = Instant::now();
        let later = now + SILENCE + MILLISECOND;
        let (silent, slow) = (Load::new(now), Load::new(now));

        silent.begin(now);
        silent.begin(now + SILENCE);
        ended(&slow, now, Duration::from_secs(30), Ending::Answered);

        assert!(silent.cost(later) > slow.cost(later));
        silent.end(later, Some(MILLISECOND), Ending::Answered);
        assert!(silent.cost(later) < slow.cost(later));
    }

    #[test]
    fn a_call_that_was_given_up_took_at_least_so_long() {
        let now = Instant::now();
        let load = Load::new(now);

        ended(&load, now, MILLISECOND / 100, Ending::Abandoned);
        let after_short = load.cost(now);
        ended(&load, now, MILLISECOND * 300, Ending::Abandoned);

        assert!((after_short - FIRST_LATENCY_SECONDS).abs() < f64::EPSILON);
        assert!(load.cost(now) > 0.29);
    }

    proptest! {
        #[test]
        fn whatever_chance_says_the_choice_can_be_taken_and_the_dearest_is_never_taken_for_a_cheaper(
            costs in proptest::collection::vec(proptest::option::of(0.0_f64..100.0), 0..9),
            random: u64,
        ) {
            let chosen = choose(&costs, random, |cost| *cost);

            prop_assert_eq!(chosen.is_some(), costs.iter().any(Option::is_some));
            if let Some(chosen) = chosen {
                prop_assert!(chosen.is_some());
                let mut known: Vec<f64> = costs.iter().flatten().copied().collect();
                known.sort_by(f64::total_cmp);
                if costs.len() > 1 && known.len() == costs.len() && known[known.len() - 1] > known[known.len() - 2] {
                    prop_assert!(chosen.is_some_and(|cost| cost < known[known.len() - 1]));
                }
            }
        }
    }

    #[test]
    fn chance_gives_every_endpoint_its_share() {
        let items = [0, 1, 2];
        let mut taken = [0; 3];

        for random in 0..3000_u64 {
            let spread = random.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let chosen = choose(&items, spread, |_| Some(1.0)).unwrap();
            taken[*chosen] += 1;
        }

        assert!(taken.iter().all(|count| (800..1200).contains(count)), "{taken:?}");
    }
}
