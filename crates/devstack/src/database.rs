//! Databases, schemas and roles: what one service owns, and a fresh database for each test.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::shared;

/// The database of every stack.
pub(crate) const DATABASE: &str = "bookmesh";

/// A database of one test, with one service's schema and roles in it.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    pub name: String,
    /// As the role that owns the schema: migrations.
    pub owner_url: String,
    /// As the role that the service runs under.
    pub app_url: String,
    /// As the superuser: looking at what nobody else may see.
    pub admin_url: String,
}

/// A fresh database on the shared stack for one test, with `schema` laid out by [`create_schema`].
///
/// # Panics
/// When it cannot be made: the test cannot go on.
pub async fn fresh_database(schema: &str) -> TestDatabase {
    let stack = shared().await;
    let name = format!("{schema}_{}", Uuid::new_v4().simple());
    create_database(&stack.maintenance_url(), &name)
        .await
        .expect("a test database is made");
    let admin_url = stack.database_url("postgres", &name);
    create_schema(&admin_url, schema)
        .await
        .expect("the schema of a test database is made");
    TestDatabase {
        owner_url: stack.database_url(&format!("{schema}_owner"), &name),
        app_url: stack.database_url(&format!("{schema}_app"), &name),
        admin_url,
        name,
    }
}

/// Makes the schema of one service in the database of `admin_url`, with its two roles. What exists stays.
///
/// `<schema>_owner` owns the schema and runs the migrations. `<schema>_app` runs the service: it may use what the owner
/// makes, owns nothing, and row-level security holds for it. Both find their tables without naming the schema.
pub async fn create_schema(admin_url: &str, schema: &str) -> anyhow::Result<()> {
    check_name(schema)?;
    let mut connection = connect(admin_url).await?;
    for kind in ["owner", "app"] {
        create_role(&mut connection, &format!("{schema}_{kind}")).await?;
    }
    let statements = include_str!("schema.sql").replace("{schema}", schema);
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&mut connection)
        .await
        .with_context(|| format!("making the schema {schema}"))?;
    connection.close().await.context("closing the connection")
}

/// Makes a database unless it exists. The URL is the superuser's, for another database.
pub async fn create_database(maintenance_url: &str, name: &str) -> anyhow::Result<()> {
    check_name(name)?;
    let mut connection = connect(maintenance_url).await?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .with_context(|| format!("making the database {name}"))?;
    }
    connection.close().await.context("closing the connection")
}

/// For callers without a runtime; their thread may belong to one, but not to its workers.
pub(crate) fn create_database_blocking(maintenance_url: &str, name: &str) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime")?
        .block_on(create_database(maintenance_url, name))
}

/// Roles belong to the whole server, so tests that run side by side make the same ones at the same time.
async fn create_role(connection: &mut PgConnection, role: &str) -> anyhow::Result<()> {
    let statement = format!(
        "DO $$ BEGIN CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS; \
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    );
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .with_context(|| format!("making the role {role}"))?;
    Ok(())
}

async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    PgConnection::connect(url)
        .await
        .context("connecting to Postgres as its superuser")
}

/// Names go into statements as they are, so they are plain words.
fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = name
        .chars()
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    anyhow::ensure!(plain && !name.is_empty(), "{name:?} is not a plain lower-case name");
    Ok(())
}
