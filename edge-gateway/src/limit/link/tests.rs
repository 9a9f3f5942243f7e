//! The script in a real Redis against the rule in Rust.

use std::net::IpAddr;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::AsyncCommands;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::super::key::{Meter, Subject};
use super::*;
use crate::gcra::{self, Micros};
use crate::policy::RateClass;

/// Attempts on one bucket, which is found in some state.
#[derive(Clone, Debug)]
struct Story {
    rate: Rate,
    /// When the bucket is full, from now, in microseconds.
    full_in: i64,
    asks: Vec<(u32, u32)>,
}

fn stories() -> impl Strategy<Value = Story> {
    // Buckets of some milliseconds, in which the time that a round trip takes counts, and of hours.
    let rate = (1..2_000_000_u64, 1..2_000_u32).prop_map(|(token, burst)| Rate { token, burst });
    let quick = (1..2_000_u64, 1..20_u32).prop_map(|(token, burst)| Rate { token, burst });
    let asks = prop::collection::vec((0..30_u32, 0..40_u32), 1..12);
    (prop_oneof![rate, quick], -1_000_000..5_000_000_000_i64, asks).prop_map(|(rate, full_in, asks)| Story {
        rate,
        full_in,
        asks,
    })
}

async fn connection() -> MultiplexedConnection {
    let stack = devstack::shared().await;
    let client = Client::open(stack.redis_url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

fn new_key() -> Key {
    Key {
        subject: Subject::User(Uuid::now_v7()),
        meter: Meter::Calls(RateClass::Read),
    }
}

async fn now(connection: &mut MultiplexedConnection) -> Micros {
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(connection).await.unwrap();
    seconds * 1_000_000 + micros
}

async fn compare(mut connection: MultiplexedConnection, story: Story) -> Result<(), TestCaseError> {
    let script = Script::new(include_str!("../take.lua"));
    let key = new_key();
    let mut full_at = now(&mut connection).await.saturating_add_signed(story.full_in);
    let _: () = connection.set(key.to_string(), full_at).await.unwrap();
    for (cost, extra) in story.asks {
        let ask = Ask { cost, extra };
        let (taken, now) = take(&script, &mut connection, key, story.rate, ask).await.unwrap();

        prop_assert_eq!(taken, gcra::take(story.rate, &mut full_at, now, cost, extra));
    }
    Ok(())
}

#[test]
fn the_script_decides_as_the_rule_does() {
    let runtime = Runtime::new().unwrap();
    let connection = runtime.block_on(connection());
    let mut runner = TestRunner::new(Config::with_cases(300));
    let outcome = runner.run(&stories(), |story| runtime.block_on(compare(connection.clone(), story)));

    outcome.unwrap();
}

#[tokio::test]
async fn a_bucket_is_forgotten_when_it_is_full() {
    let mut connection = connection().await;
    let script = Script::new(include_str!("../take.lua"));
    let rate = Rate {
        token: 100_000,
        burst: 50,
    };
    let (key, ask) = (new_key(), Ask { cost: 7, extra: 4 });

    let (taken, _) = take(&script, &mut connection, key, rate, ask).await.unwrap();

    assert_eq!((taken.granted, taken.full_in), (11, 1_100_000));
    let left_milliseconds: i64 = connection.pttl(key.to_string()).await.unwrap();
    assert!((1..=1_100).contains(&left_milliseconds), "{left_milliseconds}");
}

#[tokio::test]
async fn callers_do_not_share_a_bucket() {
    let mut connection = connection().await;
    let script = Script::new(include_str!("../take.lua"));
    let rate = Rate {
        token: 3_600_000_000,
        burst: 1,
    };
    let address = |text: &str| Key {
        subject: Subject::of_address(Some(text.parse::<IpAddr>().unwrap())),
        meter: Meter::Calls(RateClass::Read),
    };
    let ask = Ask { cost: 1, extra: 0 };
    let mut granted = Vec::new();
    for key in ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(address) {
        granted.push(take(&script, &mut connection, key, rate, ask).await.unwrap().0.granted);
    }

    assert_eq!(granted, [1, 0, 1]);
}
