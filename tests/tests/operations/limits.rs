//! What an operator sees of limits when Redis goes and comes back.

use std::{fs, time::Duration};

use anyhow::Result;
use devstack::platform::Platform;
use system_tests::{Client, start_platform};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(60);
const CALLS: usize = 50;
const GONE: &str = "redis cannot be asked";
const BACK: &str = "redis can be asked again";

#[tokio::test]
async fn callers_go_on_without_redis_and_the_log_says_so_once() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "limited@example.com").await?;
    wait_until_asked(&platform, &client).await?;
    let gone_before = lines(&platform, GONE)?;

    platform.stack().kill_redis()?;
    for _ in 0..CALLS {
        let answer = client.get("/v1/users/me").await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.header("ratelimit").starts_with("\"user-read\";r="));
    }
    assert_eq!(lines(&platform, GONE)?, gone_before + 1);

    platform.stack().start_redis()?;
    wait_until_asked(&platform, &client).await?;
    platform.stop().await;
    Ok(())
}

/// Until the last word on Redis is that it is there.
async fn wait_until_asked(platform: &Platform, client: &Client) -> Result<()> {
    let start = Instant::now();
    while lines(platform, GONE)? != lines(platform, BACK)? {
        assert!(start.elapsed() < LIMIT, "redis is not back");
        client.get("/v1/users/me").await?;
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn lines(platform: &Platform, text: &str) -> Result<usize> {
    let log = fs::read_to_string(platform.folder().join("log/edge-gateway.log"))?;
    Ok(log.lines().filter(|line| line.contains(text)).count())
}
