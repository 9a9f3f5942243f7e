//! Databases of tests do not see each other, and the app's role can only use what the owner made.

use devstack::{create_schema, fresh_database};
use sqlx::{Connection, PgConnection, Row};

#[tokio::test]
async fn two_fresh_databases_are_separate() {
    let first = fresh_database("bookmarks").await;
    let second = fresh_database("bookmarks").await;

    run(&first.owner_url, "CREATE TABLE bookmark (id int)").await.unwrap();

    run(&first.app_url, "INSERT INTO bookmark VALUES (1)").await.unwrap();
    let error = run(&second.app_url, "INSERT INTO bookmark VALUES (1)")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn the_app_role_uses_what_the_owner_makes_and_owns_nothing() {
    let database = fresh_database("bookmarks").await;

    run(
        &database.owner_url,
        "CREATE TABLE bookmark (id bigint GENERATED ALWAYS AS IDENTITY, title text)",
    )
    .await
    .unwrap();

    run(&database.app_url, "INSERT INTO bookmark (title) VALUES ('a')")
        .await
        .unwrap();
    run(&database.app_url, "CREATE TABLE other (id int)").await.unwrap_err();
    run(&database.app_url, "DROP TABLE bookmark").await.unwrap_err();
    let mut connection = PgConnection::connect(&database.admin_url).await.unwrap();
    let row = sqlx::query("SELECT rolbypassrls OR rolsuper AS above FROM pg_roles WHERE rolname = 'bookmarks_app'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(!row.get::<bool, _>("above"));
}

#[tokio::test]
async fn a_service_cannot_read_the_schema_of_another() {
    let database = fresh_database("bookmarks").await;
    create_schema(&database.admin_url, "tasks").await.unwrap();
    run(&database.owner_url, "CREATE TABLE bookmark (id int)")
        .await
        .unwrap();

    let tasks_url = database.app_url.replace("bookmarks_app", "tasks_app");
    let error = run(&tasks_url, "SELECT FROM bookmarks.bookmark").await.unwrap_err();

    assert!(error.to_string().contains("permission denied"), "{error}");
}

#[tokio::test]
async fn a_schema_can_be_made_again() {
    let database = fresh_database("bookmarks").await;

    create_schema(&database.admin_url, "bookmarks").await.unwrap();
}

async fn run(url: &str, statement: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    connection.close().await
}
