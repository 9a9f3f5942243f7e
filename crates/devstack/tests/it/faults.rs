//! Servers can be killed and wiped, and come back on the same port.

use devstack::{Devstack, Ports};
use sqlx::{Connection, PgConnection};

#[tokio::test]
async fn a_killed_postgres_comes_back_with_what_it_had_committed() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let url = stack.postgres_url("postgres");
    run(&url, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)")
        .await
        .unwrap();

    stack.kill_postgres().unwrap();
    run(&url, "SELECT").await.unwrap_err();
    stack.start_postgres().unwrap();

    run(&url, "DO $$ BEGIN ASSERT (SELECT count(*) FROM kept) = 1; END $$")
        .await
        .unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn redis_and_nats_come_back_after_kill_flush_and_wipe() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let [_, redis_before, nats_before] = stack.pids();

    stack.flush_redis().unwrap();
    stack.kill_redis().unwrap();
    stack.kill_nats().unwrap();
    stack.start_redis().unwrap();
    stack.start_nats().unwrap();
    stack.wipe_jetstream().unwrap();

    let [_, redis_after, nats_after] = stack.pids();
    assert_ne!(redis_before, redis_after);
    assert_ne!(nats_before, nats_after);
    assert!(stack.ended().is_none());
    stack.stop().await;
}

async fn run(url: &str, statement: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    connection.close().await
}
