//! Creates that their callers have named happen once.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use sqlx::{Connection, PgConnection};
use tonic::Code;
use uuid::Uuid;

use crate::app::{TestApp, bookmark, fields, reason};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

async fn count(admin: &mut PgConnection, table: &str, owner: Uuid) -> i64 {
    let statement = format!("SELECT count(*) FROM bookmarks.{table} WHERE owner_id = $1");
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(owner);
    count.fetch_one(admin).await.unwrap()
}

#[tokio::test]
async fn a_request_that_comes_again_gets_the_same_answer_and_does_nothing() {
    let app = TestApp::start().await;
    let ada = app.person();
    let first = ada.create_named(KEY, bookmark("https://example.com/")).await.unwrap();
    ada.delete(&first.id, "").await.unwrap();

    let again = ada.create_named(KEY, bookmark("https://example.com/")).await.unwrap();

    assert_eq!(again, first);
    assert_eq!(ada.get(&first.id).await.unwrap_err().code(), Code::NotFound);
    let mut admin = app.admin().await;
    assert_eq!(count(&mut admin, "bookmarks", ada.id).await, 0);
    assert_eq!(count(&mut admin, "outbox", ada.id).await, 2, "created and deleted");
}

#[tokio::test]
async fn another_request_under_the_same_name_is_refused_and_another_owner_is_another_name() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.person(), app.person());
    let first = ada.create_named(KEY, bookmark("https://example.com/")).await.unwrap();

    let other = ada
        .create_named(KEY, bookmark("https://example.com/b"))
        .await
        .unwrap_err();
    let of_bob = bob.create_named(KEY, bookmark("https://example.com/b")).await.unwrap();

    assert_eq!(
        (other.code(), reason(&other).as_str()),
        (Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED")
    );
    assert_ne!(of_bob.id, first.id);
    let too_long = ada
        .create_named(&"k".repeat(129), bookmark("https://example.com/c"))
        .await;
    assert_eq!(fields(&too_long.unwrap_err()), ["request_id"]);
}

#[tokio::test]
async fn while_a_request_is_being_done_its_twin_is_told_so() {
    let app = TestApp::start().await;
    let ada = app.person();
    ada.save("https://example.com/warm", "", &[]).await;
    let mut admin = app.admin().await;
    let mut holding = admin.begin().await.unwrap();
    let hold = sqlx::query("SELECT 1 FROM bookmarks.owners WHERE owner_id = $1 FOR UPDATE").bind(ada.id);
    hold.execute(&mut *holding).await.unwrap();
    let create = {
        let ada = ada.clone();
        async move { ada.create_named(KEY, bookmark("https://example.com/")).await }
    };
    let first = tokio::spawn(create);
    wait_for_a_taken_key(&app).await;

    let twin = ada
        .create_named(KEY, bookmark("https://example.com/"))
        .await
        .unwrap_err();

    assert_eq!(
        (twin.code(), reason(&twin).as_str()),
        (Code::Aborted, "IDEMPOTENCY_KEY_IN_FLIGHT")
    );
    holding.rollback().await.unwrap();
    let first = first.await.unwrap().unwrap();
    let again = ada.create_named(KEY, bookmark("https://example.com/")).await.unwrap();
    assert_eq!(again, first);
}

/// Keys are advisory locks of one number; the relay's has two.
async fn wait_for_a_taken_key(app: &TestApp) {
    let mut admin = app.admin().await;
    let taken = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND datname = current_database()";
    for _ in 0..2_000 {
        if sqlx::query_scalar::<_, i64>(taken).fetch_one(&mut admin).await.unwrap() > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody takes a key");
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    let app = TestApp::start().await;
    let ada = app.person();

    let all = (0..30).map(|_| ada.create_named(KEY, bookmark("https://example.com/")));
    let outcomes = join_all(all).await;

    let mut ids = HashSet::new();
    for outcome in outcomes {
        match outcome {
            Ok(answer) => {
                ids.insert(answer.id);
            }
            Err(status) => assert_eq!(reason(&status), "IDEMPOTENCY_KEY_IN_FLIGHT"),
        }
    }
    assert_eq!(ids.len(), 1);
    let mut admin = app.admin().await;
    assert_eq!(count(&mut admin, "bookmarks", ada.id).await, 1);
    assert_eq!(count(&mut admin, "outbox", ada.id).await, 1);
}

#[tokio::test]
async fn a_request_that_failed_leaves_its_name_free() {
    let app = TestApp::start().await;
    let ada = app.person();
    let before = ada.save("https://example.com/", "", &[]).await;

    let exists = ada
        .create_named(KEY, bookmark("https://example.com/"))
        .await
        .unwrap_err();
    assert_eq!(reason(&exists), "BOOKMARK_EXISTS");
    let mut admin = app.admin().await;
    assert_eq!(count(&mut admin, "idempotency_keys", ada.id).await, 0);
    ada.delete(&before.id, "").await.unwrap();
    let created = ada.create_named(KEY, bookmark("https://example.com/")).await.unwrap();

    assert_ne!(created.id, before.id);
}

#[tokio::test]
async fn a_name_is_free_again_after_a_day_and_forgotten() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.person(), app.person());
    ada.create_named(KEY, bookmark("https://example.com/a")).await.unwrap();
    bob.create_named(KEY, bookmark("https://example.com/a")).await.unwrap();
    bob.create_named("another", bookmark("https://example.com/b"))
        .await
        .unwrap();
    let mut admin = app.admin().await;
    let age = "UPDATE bookmarks.idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = $1";
    sqlx::query(age).bind(KEY).execute(&mut admin).await.unwrap();

    let later = ada.create_named(KEY, bookmark("https://example.com/c")).await.unwrap();
    let again = ada.create_named(KEY, bookmark("https://example.com/c")).await.unwrap();

    assert_eq!(later, again);
    let app = app.restart(|_| {}).await;
    for _ in 0..2_000 {
        if count(&mut admin, "idempotency_keys", bob.id).await == 1 {
            assert_eq!(count(&mut admin, "idempotency_keys", ada.id).await, 1);
            drop(app);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody forgets old names");
}
