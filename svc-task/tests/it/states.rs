//! The guards in the database.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::app::App;

const STATES: [&str; 8] = [
    "QUEUED",
    "RUNNING",
    "RETRYING",
    "WAITING_INPUT",
    "CANCELLING",
    "SUCCEEDED",
    "FAILED",
    "CANCELLED",
];
/// That the migration lists exactly the domain's changes is a test of the domain.
const LEGAL: [(&str, &str); 11] = [
    ("QUEUED", "RUNNING"),
    ("QUEUED", "CANCELLED"),
    ("RETRYING", "RUNNING"),
    ("RETRYING", "CANCELLED"),
    ("WAITING_INPUT", "CANCELLED"),
    ("RUNNING", "SUCCEEDED"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "RETRYING"),
    ("RUNNING", "CANCELLING"),
    ("CANCELLING", "SUCCEEDED"),
    ("CANCELLING", "CANCELLED"),
];

#[tokio::test]
async fn the_database_refuses_every_illegal_change() {
    let app = App::new().await;
    let mut database = app.database().await;

    for from in STATES {
        for to in STATES {
            let allowed = change(&mut database, from, to).await;
            let legal = from == to || LEGAL.contains(&(from, to));
            assert_eq!(allowed, legal, "{from} -> {to}");
        }
    }
}

async fn change(database: &mut PgConnection, from: &str, to: &str) -> bool {
    let id = Uuid::now_v7();
    let mut transaction = database.begin().await.unwrap();
    sqlx::query("INSERT INTO tasks (id, owner_id, kind, subject, state, max_attempts) VALUES ($1, $1, 'x', '', $2, 1)")
        .bind(id)
        .bind(from)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let changed = sqlx::query("UPDATE tasks SET state = $2 WHERE id = $1")
        .bind(id)
        .bind(to);
    let outcome = changed.execute(&mut *transaction).await;
    transaction.rollback().await.unwrap();
    outcome.is_ok()
}

#[tokio::test]
async fn without_an_owner_the_service_sees_no_task() {
    let app = App::new().await;
    app.create(Uuid::now_v7()).await;
    let mut service = app.database_as_service().await;

    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tasks")
        .fetch_one(&mut service)
        .await
        .unwrap();

    assert_eq!(count, 0);
}
