//! The script against the rules, the bounds of what a process keeps, and the names of keys.

use base64::{Engine, prelude::BASE64_STANDARD};
use devstack::shared;
use proptest::prelude::*;
use redis::aio::MultiplexedConnection;

use super::{
    rule::Standing,
    shared::{Taken, invocation, read, script},
    *,
};

const NOW: Millis = 1_800_000_000_000;
const LADDER: Rule = Rule::Ladder {
    free: 3,
    longest: 20_000,
    forgotten_after: 3_600_000,
};
const ALLOWANCE: Rule = Rule::Allowance { burst: 4, every: 2_000 };

fn guard(scope: Scope, rule: Rule, number: u128) -> Guard {
    Guard {
        key: Key {
            kind: Kind::LogIn,
            scope,
            name: number.to_be_bytes(),
        },
        rule,
    }
}

/// Of an account and a network that nobody else counts.
fn fresh_guards() -> [Guard; 2] {
    let number = Uuid::new_v4().as_u128();
    [
        guard(Scope::Account, LADDER, number),
        guard(Scope::Network, ALLOWANCE, number),
    ]
}

async fn connect() -> MultiplexedConnection {
    let client = redis::Client::open(shared().await.redis_url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn run(redis: &mut MultiplexedConnection, verb: &str, guards: &[Guard], counted: &[u32], now: Millis) -> Taken {
    let script = script();
    let answer: Vec<u64> = invocation(&script, verb, guards, counted, now)
        .invoke_async(redis)
        .await
        .unwrap();
    read(&answer).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Take,
    Succeed {
        which: usize,
    },
    Withdraw {
        which: usize,
    },
    Pass {
        time: Millis,
    },
    /// Another process's clock is behind.
    SetBack {
        time: Millis,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Take),
        1 => (0..8_usize).prop_map(|which| Step::Succeed { which }),
        2 => (0..8_usize).prop_map(|which| Step::Withdraw { which }),
        4 => (0..30_000_u64).prop_map(|time| Step::Pass { time }),
        1 => (0..5_000_u64).prop_map(|time| Step::SetBack { time }),
    ]
}

/// The rules as they are written down, applied to all guards at once.
struct Model {
    guards: [Guard; 2],
    standings: [Standing; 2],
    now: Millis,
}

impl Model {
    fn take(&mut self) -> Taken {
        let waits = (0..2).map(|place| self.guards[place].rule.wait(self.standings[place], self.now));
        let wait = waits.max().unwrap();
        if wait == 0 {
            self.change(|rule, standing, _, now| rule.count(standing, now), &[0, 0]);
        }
        self.answer(wait)
    }

    fn change(&mut self, change: impl Fn(Rule, Standing, u32, Millis) -> Standing, counted: &[u32]) {
        for (place, guard) in self.guards.iter().enumerate() {
            let counted = counted.get(place).copied().unwrap_or(0);
            let standing = change(guard.rule, self.standings[place], counted, self.now);
            // What is over is forgotten.
            let is_over = standing.failures == 0 && standing.until <= self.now;
            self.standings[place] = if is_over { Standing::default() } else { standing };
        }
    }

    fn answer(&self, wait: Millis) -> Taken {
        Taken {
            wait,
            standings: self.standings.to_vec(),
        }
    }
}

/// What is over is forgotten in Redis and of no consequence in the model.
fn without_what_is_over(mut taken: Taken, now: Millis) -> Taken {
    for standing in &mut taken.standings {
        if standing.until <= now {
            standing.until = 0;
        }
    }
    taken
}

async fn follow(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut redis = connect().await;
    let guards = fresh_guards();
    let mut model = Model {
        guards,
        standings: [Standing::default(); 2],
        now: NOW,
    };
    let mut open: Vec<Vec<u32>> = Vec::new();
    for step in steps {
        let now = model.now;
        let (told, expected) = match step {
            Step::Take => {
                let told = run(&mut redis, "take", &guards, &[], now).await;
                if told.wait == 0 {
                    open.push(told.failures());
                }
                (told, model.take())
            }
            Step::Succeed { which } if which < open.len() => {
                let counted = open.remove(which);
                model.change(|rule, standing, _, _| rule.succeed(standing), &counted);
                (
                    run(&mut redis, "succeed", &guards, &counted, now).await,
                    model.answer(0),
                )
            }
            Step::Withdraw { which } if which < open.len() => {
                let counted = open.remove(which);
                model.change(|rule, standing, counted, _| rule.withdraw(standing, counted), &counted);
                (
                    run(&mut redis, "withdraw", &guards, &counted, now).await,
                    model.answer(0),
                )
            }
            Step::Succeed { .. } | Step::Withdraw { .. } => continue,
            Step::Pass { time } => {
                model.now += time;
                continue;
            }
            Step::SetBack { time } => {
                model.now -= time;
                continue;
            }
        };
        prop_assert_eq!(without_what_is_over(told, now), without_what_is_over(expected, now));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn redis_counts_as_the_rules_say(steps in proptest::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(steps))?;
    }
}

#[tokio::test]
async fn of_fifty_at_once_only_the_free_ones_are_let_through() {
    let redis = connect().await;
    let guards = [guard(Scope::Account, LADDER, Uuid::new_v4().as_u128())];

    let attempts = (0..50).map(|_| {
        let mut redis = redis.clone();
        async move { run(&mut redis, "take", &guards, &[], NOW).await }
    });
    let taken = futures::future::join_all(attempts).await;

    assert_eq!(taken.iter().filter(|taken| taken.wait == 0).count(), 3);
    assert!(taken.iter().all(|taken| taken.wait == 0 || taken.wait == 1_000));
}

#[tokio::test]
async fn what_is_counted_is_forgotten_in_time() {
    let mut redis = connect().await;
    let guards = fresh_guards();
    run(&mut redis, "take", &guards, &[], NOW).await;

    let mut kept = Vec::new();
    for guard in &guards {
        let milliseconds: i64 = redis::cmd("PTTL")
            .arg(guard.key.to_string())
            .query_async(&mut redis)
            .await
            .unwrap();
        kept.push(milliseconds);
    }

    assert!((3_500_000..=3_600_000).contains(&kept[0]), "{kept:?}");
    assert!((1..=2_000).contains(&kept[1]), "{kept:?}");
    run(&mut redis, "succeed", &guards, &[1, 0], NOW).await;
    let left: u64 = redis::cmd("EXISTS")
        .arg(guards[0].key.to_string())
        .arg(guards[1].key.to_string())
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn alone_half_as_much_is_free_and_what_redis_said_goes_on() {
    let twin = Twin::default();
    let unknown = [guard(Scope::Account, LADDER, 1)];
    let known = [guard(Scope::Account, LADDER, 2)];
    let standing = Standing {
        failures: 4,
        until: NOW + 2_000,
    };
    twin.learn(&known, &[standing], NOW);

    assert_eq!(twin.take_alone(&unknown, NOW), (0, vec![1]));
    assert_eq!(twin.take_alone(&unknown, NOW), (1_000, Vec::new()));
    assert_eq!(twin.wait(&known, NOW), 2_000);
    assert_eq!(twin.take_alone(&known, NOW + 2_000), (0, vec![5]));
    assert_eq!(twin.take_alone(&known, NOW + 2_000), (16_000, Vec::new()));
}

#[test]
fn an_answer_that_was_overtaken_frees_nobody() {
    let twin = Twin::default();
    let guards = [guard(Scope::Account, LADDER, 1)];
    let [earlier, later] = [(3, 1_000), (4, 2_000)].map(|(failures, wait)| Standing {
        failures,
        until: NOW + wait,
    });

    twin.learn(&guards, &[later], NOW);
    twin.learn(&guards, &[earlier], NOW);

    assert_eq!(twin.wait(&guards, NOW), 2_000);
}

#[test]
fn only_the_first_refusal_of_each_wait_is_told_of() {
    let twin = Twin::default();
    let guards = [guard(Scope::Account, LADDER, 1)];
    let mut now = NOW;
    let mut told = Vec::new();
    for failures in 3..6 {
        let wait = 1_000 << (failures - 3);
        let until = now + wait;
        twin.learn(&guards, &[Standing { failures, until }], now);
        told.push((0..10).filter(|_| twin.tell(&guards, now)).count());
        now = until;
    }

    assert_eq!(told, [1, 1, 1]);
}

#[test]
fn however_many_accounts_are_tried_memory_is_bounded_and_newcomers_wait() {
    let twin = Twin::default();
    for number in 0..200_000 {
        let (wait, _) = twin.take_alone(&[guard(Scope::Account, LADDER, number)], NOW);
        assert_eq!(wait > 0, number >= 57_344, "{number}");
    }
    assert!(twin.bytes() <= 4 * 1_024 * 1_024, "{}", twin.bytes());

    // Whoever is being attacked is not forgotten in favour of newcomers, and a known device has a table of its own.
    assert_eq!(twin.take_alone(&[guard(Scope::Account, LADDER, 7)], NOW).0, 1_000);
    assert_eq!(twin.take_alone(&[guard(Scope::Device, LADDER, 7)], NOW).0, 0);
    // The longest wait is over: there is room again, and nobody was spared any wait.
    assert_eq!(
        twin.take_alone(&[guard(Scope::Account, LADDER, 300_000)], NOW + 20_000)
            .0,
        0
    );
}

fn attempts(master_key: u8) -> Attempts {
    let master_key = MasterKey::parse(&BASE64_STANDARD.encode([master_key; 32])).unwrap();
    // Nobody listens there.
    let redis = RedisLink::new("redis://127.0.0.1:1", Duration::from_millis(50), Counter::default()).unwrap();
    Attempts::new(Arc::new(redis), &master_key, &Metrics::new())
}

fn attempt<'a>(account: &'a str, device: Option<Uuid>, address: &str) -> Attempt<'a> {
    Attempt {
        kind: Kind::LogIn,
        account: Some(account),
        device,
        address: Some(address.parse().unwrap()),
    }
}

#[tokio::test]
async fn keys_tell_accounts_devices_networks_and_kinds_apart_and_name_none() {
    let attempts = attempts(1);
    let device = Some(Uuid::from_u128(1));
    let keys = |attempt| {
        attempts
            .guards(attempt)
            .iter()
            .map(|guard| guard.key)
            .collect::<Vec<_>>()
    };

    let ada = keys(attempt("ada@example.com", None, "203.0.113.7"));
    assert_eq!(ada, keys(attempt("ada@example.com", None, "203.0.113.200")));
    assert_eq!(ada[1], keys(attempt("bob@example.com", None, "203.0.113.7"))[1]);
    assert_ne!(ada[0], keys(attempt("bob@example.com", None, "203.0.113.7"))[0]);
    assert_ne!(ada[1], keys(attempt("ada@example.com", None, "203.0.114.7"))[1]);
    let known = keys(attempt("ada@example.com", device, "203.0.113.7"));
    assert_eq!(known.len(), 1);
    assert_ne!(known, keys(attempt("bob@example.com", device, "203.0.113.7")));
    let six = |address| keys(attempt("ada@example.com", None, address))[1];
    assert_eq!(six("2001:db8:1:2::1"), six("2001:db8:1:2:ffff::1"));
    assert_ne!(six("2001:db8:1:2::1"), six("2001:db8:1:3::1"));
    let other_kind = Attempt {
        kind: Kind::CurrentPassword,
        ..attempt("ada@example.com", None, "203.0.113.7")
    };
    assert_ne!(keys(other_kind)[0].to_string(), ada[0].to_string());
    assert!(
        ada.iter()
            .all(|key| !key.to_string().contains("ada") && !key.to_string().contains("203"))
    );
    let elsewhere = self::attempts(2).guards(attempt("ada@example.com", None, "203.0.113.7"))[0].key;
    assert_ne!(elsewhere, ada[0]);
}

#[tokio::test]
async fn without_redis_guesses_are_counted_here_and_a_success_clears_its_device_alone() {
    let attempts = attempts(1);
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let stranger = attempt("ada@example.com", None, "203.0.113.7");
    let owner = attempt("ada@example.com", Some(Uuid::from_u128(1)), "203.0.113.7");

    let _first = attempts.begin(stranger, now).await.unwrap();
    let _second = attempts.begin(stranger, now).await.unwrap();
    let refused = attempts.begin(stranger, now).await.err().unwrap();
    let again = attempts.begin(stranger, now).await.err().unwrap();
    let counted = attempts.begin(owner, now).await.unwrap();
    attempts.succeed(counted, now).await;

    assert_eq!(refused.retry_after, Duration::from_secs(1));
    assert_eq!((refused.is_first, again.is_first), (true, false));
    assert!(attempts.begin(stranger, now).await.is_err());
    assert_eq!(attempts.alone.get(), 6);
}
