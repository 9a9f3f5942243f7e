//! The pool, transactions of one owner, migrations, and a database that goes away.

use std::{borrow::Cow, time::Duration};

use devstack::{Devstack, Ports, fresh_database};
use service::{metrics::Metrics, postgres};
use sqlx::{
    PgPool, Row,
    migrate::{Migration, MigrationType, Migrator},
};
use tonic::Code;
use uuid::Uuid;

fn migration(version: i64, sql: &'static str) -> Migration {
    let description = Cow::Borrowed("test");
    let sql = sqlx::SqlSafeStr::into_sql_str(sql);
    Migration::new(version, description, MigrationType::Simple, sql, false)
}

const NOTES: &str = "
    CREATE TABLE notes (owner_id uuid NOT NULL, text text NOT NULL);
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    ALTER TABLE notes FORCE ROW LEVEL SECURITY;
    CREATE POLICY owner ON notes USING (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)";

async fn count(pool: &PgPool, owner: Uuid) -> i64 {
    let mut transaction = postgres::begin(pool, owner).await.unwrap();
    let row = sqlx::query("SELECT count(*) FROM notes")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    row.get(0)
}

#[tokio::test]
async fn a_call_given_up_while_its_transaction_begins_leaves_nothing_open() {
    let database = fresh_database("given_up").await;
    let pool = postgres::connect(&database.app_url, 1, &Metrics::new()).await.unwrap();
    let warm_up = postgres::begin(&pool, Uuid::now_v7()).await.unwrap();
    warm_up.rollback().await.unwrap();

    for attempt in 0..400 {
        let given_up = tokio::spawn({
            let pool = pool.clone();
            async move { postgres::begin(&pool, Uuid::now_v7()).await }
        });
        for _ in 0..attempt % 40 {
            tokio::task::yield_now().await;
        }
        given_up.abort();
        // What was begun after all is rolled back before the connection is lent again.
        let _ = given_up.await;

        let owner = sqlx::query("SELECT current_setting('bookmesh.owner', true)");
        let owner: String = owner.fetch_one(&pool).await.unwrap().get(0);
        assert_eq!(
            owner, "",
            "attempt {attempt}: the connection is in a transaction of somebody else"
        );
    }
}

#[tokio::test]
async fn a_transaction_sees_the_rows_of_its_owner_alone() {
    let database = fresh_database("notes").await;
    let migrator = Migrator::with_migrations(vec![migration(1, NOTES)]);
    postgres::migrate(&database.owner_url, &[&migrator]).await.unwrap();
    let metrics = Metrics::new();
    let pool = postgres::connect(&database.app_url, 1, &metrics).await.unwrap();
    let (alice, bob) = (Uuid::now_v7(), Uuid::now_v7());

    let mut transaction = postgres::begin(&pool, alice).await.unwrap();
    let insert = sqlx::query("INSERT INTO notes VALUES ($1, 'hello')").bind(alice);
    insert.execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();

    assert_eq!(count(&pool, alice).await, 1);
    assert_eq!(count(&pool, bob).await, 0);
    // The same connection, and the owner does not outlive the transaction.
    let unscoped = sqlx::query("SELECT count(*) FROM notes")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(unscoped.get::<i64, _>(0), 0);
    assert!(
        metrics.encode().contains("postgres_pool_connections 1"),
        "{}",
        metrics.encode()
    );
}

#[tokio::test]
async fn migrations_of_several_crates_make_one_schema_and_run_once() {
    let database = fresh_database("notes").await;
    let own = Migrator::with_migrations(vec![
        migration(1, "CREATE TABLE one ()"),
        migration(3, "CREATE TABLE three ()"),
    ]);
    let shared = Migrator::with_migrations(vec![migration(2, "CREATE TABLE two ()")]);

    for _ in 0..2 {
        postgres::migrate(&database.owner_url, &[&own, &shared]).await.unwrap();
    }
    let clash = postgres::migrate(&database.owner_url, &[&own, &own]).await.unwrap_err();

    assert_eq!(clash.to_string(), "two migrations have the version 1");
}

#[tokio::test]
async fn a_busy_pool_is_unavailable_and_a_bad_statement_is_internal() {
    let database = fresh_database("notes").await;
    let pool = postgres::connect(&database.app_url, 1, &Metrics::new()).await.unwrap();

    let held = pool.acquire().await.unwrap();
    let busy = postgres::status(postgres::begin(&pool, Uuid::now_v7()).await.unwrap_err());
    drop(held);
    let bad = postgres::status(sqlx::query("SELECT nonsense").execute(&pool).await.unwrap_err());

    assert_eq!(busy.code(), Code::Unavailable);
    assert_eq!((bad.code(), bad.message()), (Code::Internal, "internal error"));
}

#[tokio::test]
async fn a_role_that_does_not_exist_fails_at_once_and_the_error_names_the_database_not_the_password() {
    let database = fresh_database("notes").await;
    let url = database.app_url.replace("notes_app", "nobody:hunter2");

    let metrics = Metrics::new();
    let connecting = postgres::connect(&url, 1, &metrics);
    let error = tokio::time::timeout(Duration::from_secs(5), connecting)
        .await
        .unwrap()
        .unwrap_err();

    let text = format!("{error:#}");
    assert!(text.starts_with("connecting to the database at "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_database_that_comes_back_is_used_again() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let pool = postgres::connect(&stack.postgres_url("postgres"), 2, &Metrics::new())
        .await
        .unwrap();
    sqlx::query("SELECT 1").execute(&pool).await.unwrap();

    stack.kill_postgres().unwrap();
    let away = postgres::status(sqlx::query("SELECT 1").execute(&pool).await.unwrap_err());
    stack.start_postgres().unwrap();

    assert_eq!(away.code(), Code::Unavailable);
    let back = async {
        while sqlx::query("SELECT 1").execute(&pool).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn a_transaction_that_had_to_give_way_to_another_may_be_tried_again() {
    let database = fresh_database("giving_way").await;
    let pool = postgres::connect(&database.app_url, 1, &Metrics::new()).await.unwrap();

    for raise in [
        "DO $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'; END $$",
    ] {
        let error = sqlx::raw_sql(raise).execute(&pool).await.unwrap_err();

        assert_eq!(postgres::status(error).code(), Code::Unavailable, "{raise}");
    }
}
