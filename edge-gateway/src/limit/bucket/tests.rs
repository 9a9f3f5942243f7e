//! Many edges, one bucket: what they let pass together, at any time, in any order.

use std::collections::VecDeque;

use actix_web::http::header::HeaderValue;
use proptest::prelude::*;

use super::*;

fn rule(token: Micros, burst: u32, most_leased: u32) -> Rule {
    Rule {
        quota: 1,
        seconds: 1,
        name: "test",
        rate: Rate { token, burst },
        most_leased,
        policy: HeaderValue::from_static("test"),
    }
}

/// A call of one edge, some time after the one before.
#[derive(Clone, Debug)]
struct Call {
    after: Micros,
    edge: usize,
    cost: u32,
}

/// Edges around one bucket. Redis decides at once, and what it says arrives some calls later.
struct World {
    rule: Rule,
    now: Micros,
    in_redis: Micros,
    edges: Vec<Bucket>,
    on_the_way: VecDeque<(usize, Ask, Taken)>,
    delay: usize,
    round_trips: usize,
    /// When something was let pass, and how much.
    passed: Vec<(Micros, u32)>,
}

impl World {
    fn new(rule: Rule, edges: usize, delay: usize) -> Self {
        Self {
            rule,
            now: 0,
            in_redis: 0,
            edges: (0..edges).map(|_| Bucket::default()).collect(),
            on_the_way: VecDeque::new(),
            delay,
            round_trips: 0,
            passed: Vec::new(),
        }
    }

    fn call(&mut self, call: &Call) -> bool {
        self.now += call.after;
        let step = self.edges[call.edge].decide(&self.rule, call.cost, self.now);
        let decision = match step {
            Step::Decided(decision) => decision,
            Step::Ask(ask) => self.ask(call.edge, ask),
        };
        if step == Step::Decided(Decision::Allowed)
            && let Some(ask) = self.edges[call.edge].refill(&self.rule, self.now)
        {
            self.ask(call.edge, ask);
        }
        while self.on_the_way.len() > self.delay {
            self.arrive();
        }
        if decision == Decision::Allowed {
            self.passed.push((self.now, self.rule.rate.payable(call.cost)));
        }
        decision == Decision::Allowed
    }

    fn ask(&mut self, edge: usize, ask: Ask) -> Decision {
        self.round_trips += 1;
        let taken = take(self.rule.rate, &mut self.in_redis, self.now, ask.cost, ask.extra);
        self.on_the_way.push_back((edge, ask, taken));
        if taken.granted >= ask.cost {
            Decision::Allowed
        } else {
            let retry_in = taken.retry_in;
            Decision::Refused { retry_in }
        }
    }

    fn arrive(&mut self) {
        let (edge, ask, taken) = self.on_the_way.pop_front().unwrap();
        self.edges[edge].learn(&self.rule, ask, taken, self.now);
    }

    /// By how much the busiest span of time went over the burst and what came meanwhile.
    fn most_above_limit(&self) -> i64 {
        let Rate { token, burst } = self.rule.rate;
        let mut most = i64::MIN;
        for (first, (begin, _)) in self.passed.iter().enumerate() {
            let mut sum = 0;
            for (end, cost) in &self.passed[first..] {
                sum += i64::from(*cost);
                let allowed = i64::from(burst) + ((end - begin) / token) as i64;
                most = most.max(sum - allowed);
            }
        }
        most
    }
}

/// Rushes of callers, with pauses between in which a bucket may fill.
fn calls(edges: usize) -> impl Strategy<Value = Vec<Call>> {
    let after = prop_oneof![20 => 0..60_u64, 1 => 0..8_000_u64];
    let call = (after, 0..edges, 1..4_u32).prop_map(|(after, edge, cost)| Call { after, edge, cost });
    prop::collection::vec(call, 1..600)
}

proptest! {
    /// The bound of ADR 9: in any span of time no more than the burst, what came meanwhile, and what all edges may hold.
    #[test]
    fn leases_add_no_more_to_a_limit_than_all_edges_may_hold(
        calls in calls(3), most_leased in 0..8_u32, delay in 0..4_usize,
    ) {
        let mut world = World::new(rule(100, 40, most_leased), 3, delay);
        for call in &calls {
            world.call(call);
        }
        prop_assert!(world.most_above_limit() <= 3 * i64::from(most_leased) + 1, "{}", world.most_above_limit());
    }

    /// An edge alone never refuses what the bucket without leases would have given.
    #[test]
    fn nothing_is_lost_in_a_lease(calls in calls(1), most_leased in 0..8_u32) {
        let mut world = World::new(rule(100, 40, most_leased), 1, 0);
        let (mut plain, mut passed) = (0, 0);
        for call in &calls {
            let call = Call { cost: 1, ..call.clone() };
            passed += i64::from(world.call(&call));
            passed -= i64::from(take(world.rule.rate, &mut plain, world.now, 1, 0).granted);
            prop_assert!(passed >= 0);
        }
    }
}

#[test]
fn the_bound_is_reached() {
    let mut world = World::new(rule(1_000_000, 100, 10), 2, 0);
    let call = |edge, after| Call { after, edge, cost: 1 };
    // Both edges lease, everything comes back in Redis, and then all is spent at once.
    for edge in [0, 1] {
        while world.edges[edge].held < 10 {
            world.call(&call(edge, 0));
        }
    }
    world.call(&call(0, 1_000_000_000));
    for edge in [0, 1].repeat(200) {
        world.call(&call(edge, 0));
    }

    let passed_now = world.passed.iter().filter(|(at, _)| *at == world.now).count();
    assert_eq!(
        passed_now,
        100 + 2 * 10 - world.edges.iter().map(|edge| edge.held as usize).sum::<usize>()
    );
    assert!(world.most_above_limit() > 10, "{}", world.most_above_limit());
}

#[test]
fn a_busy_caller_costs_one_round_trip_in_many_calls() {
    let mut world = World::new(rule(10, 100_000, 100), 1, 0);
    for _ in 0..10_000 {
        assert!(world.call(&Call {
            after: 100,
            edge: 0,
            cost: 1
        }));
    }

    assert!(world.round_trips < 10_000 / 40, "{}", world.round_trips);
}

#[test]
fn a_caller_who_comes_now_and_then_leases_nothing() {
    let mut world = World::new(rule(10, 1_000, 100), 1, 0);
    for _ in 0..10 {
        world.call(&Call {
            after: 2 * HOT,
            edge: 0,
            cost: 1,
        });
    }

    assert_eq!(world.edges[0].held, 0);
    assert_eq!(world.round_trips, 10);
}

#[test]
fn a_refusal_is_remembered_until_the_call_can_be_paid() {
    let mut world = World::new(rule(1_000, 5, 0), 1, 0);
    let one = Call {
        after: 0,
        edge: 0,
        cost: 1,
    };
    for _ in 0..5 {
        assert!(world.call(&one));
    }
    assert!(!world.call(&one));
    let asked = world.round_trips;

    for _ in 0..999 {
        assert!(!world.call(&Call { after: 1, ..one }));
    }
    assert_eq!(world.round_trips, asked);
    assert!(world.call(&Call { after: 1, ..one }));
}

#[test]
fn a_refusal_does_not_outlive_the_limit_that_it_was_made_by() {
    let mut world = World::new(rule(1_000_000, 5, 0), 1, 0);
    let call = |after| Call {
        after,
        edge: 0,
        cost: 1,
    };
    for _ in 0..5 {
        assert!(world.call(&call(0)));
    }
    assert!(!world.call(&call(0)));

    world.rule = rule(1_000, 50, 0);

    assert!(!world.call(&call(0)), "Redis takes the bucket for an empty one");
    assert!(world.call(&call(1_000)));
}

#[test]
fn a_cheaper_call_is_not_refused_for_a_dear_one() {
    let mut world = World::new(rule(1_000, 5, 0), 1, 0);

    assert!(world.call(&Call {
        after: 0,
        edge: 0,
        cost: 3
    }));
    assert!(!world.call(&Call {
        after: 0,
        edge: 0,
        cost: 3
    }));
    assert!(world.call(&Call {
        after: 0,
        edge: 0,
        cost: 1
    }));
}

#[test]
fn who_had_used_up_a_limit_gets_no_other_one_when_redis_goes() {
    let rule = rule(1_000, 6, 0);
    let mut world = World::new(rule.clone(), 1, 0);
    for _ in 0..6 {
        world.call(&Call {
            after: 0,
            edge: 0,
            cost: 1,
        });
    }
    let mut alone = |now| world.edges[0].decide_alone(rule.rate, 3, 1, now) == Decision::Allowed;

    assert!(!alone(0));
    // A third of the tokens that come.
    assert!(!alone(2_999));
    assert!(alone(3_000));
    assert!(!alone(5_999));
    assert!(alone(6_000));
    // A bucket of a third.
    assert_eq!((0..5).filter(|_| alone(1_000_000)).count(), 2);
}

#[test]
fn a_lease_that_never_comes_does_not_keep_the_next_one_from_coming() {
    let rule = rule(10, 1_000, 100);
    let mut bucket = Bucket::default();
    let extra = |step| match step {
        Step::Ask(ask) => ask.extra,
        Step::Decided(decision) => panic!("{decision:?}"),
    };

    assert_eq!(extra(bucket.decide(&rule, 1, 0)), 0);
    assert_eq!(extra(bucket.decide(&rule, 1, 10)), 2);
    assert_eq!(extra(bucket.decide(&rule, 1, 20)), 0);
    assert!(extra(bucket.decide(&rule, 1, 10 + LEASE_TIMEOUT)) > 0);
}
