//! A user leaves: access ends everywhere, every service deletes what it has and says so, and nothing is left but the marks that
//! say that there was somebody.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use devstack::platform::Platform;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use system_tests::{Answer, Client, Export, ExportShape, PASSWORD, start_platform};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

const LIMIT: Duration = Duration::from_secs(90);
const SMALL: ExportShape = ExportShape {
    bookmarks: 700,
    folders: 20,
};
const LARGE: ExportShape = ExportShape {
    bookmarks: 20_000,
    folders: 300,
};
/// What says that there was somebody: the audit log, the deletion with its proofs, and the tombstones.
const MARKS: [&str; 7] = [
    "auth.audit_events",
    "auth.deletions",
    "auth.deletion_proofs",
    "bookmarks.deleted_owners",
    "imports.deleted_owners",
    "tasks.deleted_owners",
    "enrich.deleted_owners",
];

struct Leaving {
    client: Client,
    id: String,
    email: String,
}

#[tokio::test]
async fn a_deleted_user_leaves_nothing_behind_but_marks() -> Result<()> {
    let platform = start_platform().await?;
    let admin = Client::register(&platform.edge_url(), "admin@example.com").await?;
    let ada = settled(&platform, "ada@example.com").await?;
    ada.client.make_api_token("program", &["bookmarks:read"]).await?;
    let named = json!({"bookmark": {"url": "https://example.com/named"}, "requestId": "once"});
    ada.client.post("/v1/bookmarks", &named["bookmark"]).await?;
    let bystander = settled(&platform, "bob@example.com").await?;
    assert_ne!(
        places_of(&platform, &ada).await?,
        Vec::<String>::new(),
        "the search finds what is there"
    );

    let refused = delete(&ada.client, "not the password").await?;
    assert_eq!(
        (refused.status, refused.text("reason")),
        (400, "WRONG_PASSWORD"),
        "{}",
        refused.body
    );
    let deleted = delete(&ada.client, PASSWORD).await?;

    assert_eq!(deleted.status, 204, "{}", deleted.body);
    assert_eq!(
        ada.client.get("/v1/users/me").await?.status,
        401,
        "access ends at once at svc-auth"
    );
    wait(Duration::from_secs(10), "access ends everywhere", async || {
        Ok(ada.client.get("/v1/bookmarks").await?.status == 401)
    })
    .await?;
    let deletion = completed(&admin, &ada.id).await?;
    let counts = |service: usize| deletion["proofs"][service]["counts"].clone();
    assert_eq!(counts(0)["bookmarks"], "701", "{deletion}");
    assert_eq!(
        (&counts(2)["imports"], &counts(2)["files"]),
        (&json!("1"), &json!("1")),
        "{deletion}"
    );
    assert_eq!(counts(3)["tasks"], "1", "{deletion}");
    wait(LIMIT, "nothing is left", async || {
        let left = places_of(&platform, &ada).await?;
        Ok(left.is_empty())
    })
    .await?;
    assert_eq!(
        bystander.client.bookmarks("").await?.len(),
        SMALL.bookmarks,
        "others keep theirs"
    );
    let again = Client::register(&platform.edge_url(), &ada.email).await?;
    assert_eq!(
        again.count("").await?,
        0,
        "the address is free, and its next user has nothing of the last one's"
    );
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_deletion_in_the_middle_of_an_import_stops_it_and_nothing_comes_back() -> Result<()> {
    let platform = start_platform().await?;
    let admin = Client::register(&platform.edge_url(), "admin@example.com").await?;
    let client = Client::register(&platform.edge_url(), "ada@example.com").await?;
    let import = client.upload(Export::generate("ada", LARGE).html).await?;
    let import_id = import["id"].as_str().unwrap_or_default();
    client
        .wait_for_import(import_id, LIMIT, |import| {
            import["counts"]["created"].as_u64() > Some(1_000)
        })
        .await?;
    let ada = known(client, "ada@example.com").await?;

    delete(&ada.client, PASSWORD).await?;

    completed(&admin, &ada.id).await?;
    wait(LIMIT, "nothing is left", async || {
        Ok(places_of(&platform, &ada).await?.is_empty())
    })
    .await?;
    // Longer than a worker keeps trying to save a batch.
    sleep(Duration::from_secs(5)).await;
    assert_eq!(places_of(&platform, &ada).await?, Vec::<String>::new());
    let errors = "SELECT (SELECT count(*) FROM bookmarks.dead_letters) + (SELECT count(*) FROM enrich.dead_letters)";
    assert_eq!(number(&platform, errors).await?, 0, "late events are no dead letters");
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn whatever_dies_or_is_lost_a_deletion_completes() -> Result<()> {
    let platform = start_platform().await?;
    let admin = Client::register(&platform.edge_url(), "admin@example.com").await?;
    for victim in ["svc-bookmarks", "svc-import", "svc-task", "svc-enrich", "svc-auth"] {
        let user = settled(&platform, &format!("{victim}@example.com")).await?;
        delete(&user.client, PASSWORD).await?;
        platform.kill(victim)?;
        platform.restart(victim)?;
        completed(&admin, &user.id).await.with_context(|| victim.to_owned())?;
        wait(LIMIT, victim, async || {
            Ok(places_of(&platform, &user).await?.is_empty())
        })
        .await?;
    }

    let user = settled(&platform, "nats@example.com").await?;
    platform.kill("svc-import")?;
    delete(&user.client, PASSWORD).await?;
    platform.stack().wipe_jetstream()?;
    platform.restart("svc-import")?;
    let first = completed(&admin, &user.id).await?;

    // Asked once more, as after an answer that was lost: the same again.
    let ask = "UPDATE auth.deletions SET completed_at = NULL, asked_at = now() - interval '1 hour' WHERE user_id = ";
    execute(&platform, &format!("{ask} '{}'", user.id)).await?;
    let second = completed(&admin, &user.id).await?;
    assert_eq!(first["proofs"], second["proofs"]);
    wait(LIMIT, "nothing is left", async || {
        Ok(places_of(&platform, &user).await?.is_empty())
    })
    .await?;
    platform.stop().await;
    Ok(())
}

/// Registers, and has a file imported of which proposals are made.
async fn settled(platform: &Platform, email: &str) -> Result<Leaving> {
    let client = Client::register(&platform.edge_url(), email).await?;
    let import = client.upload(Export::generate(email, SMALL).html).await?;
    let id = import["id"].as_str().unwrap_or_default();
    client
        .wait_for_import(id, LIMIT, |import| import["state"] == "COMPLETED")
        .await?;
    let user = known(client, email).await?;
    let proposals = format!("SELECT count(*) FROM enrich.enrichments WHERE owner_id = '{}'", user.id);
    wait(LIMIT, "proposals are made", async || {
        Ok(number(platform, &proposals).await? > 0)
    })
    .await?;
    Ok(user)
}

async fn known(client: Client, email: &str) -> Result<Leaving> {
    let me = client.get("/v1/users/me").await?;
    Ok(Leaving {
        id: me.text("id").to_owned(),
        email: email.to_owned(),
        client,
    })
}

async fn delete(client: &Client, password: &str) -> Result<Answer> {
    let request = client.request(Method::DELETE, "/v1/users/me");
    client.send(request.json(&json!({"currentPassword": password}))).await
}

/// The user's deletion, once every service has answered.
async fn completed(admin: &Client, user_id: &str) -> Result<Value> {
    let deadline = Instant::now() + LIMIT;
    let mut last = Value::Null;
    while Instant::now() < deadline {
        if let Ok(answer) = admin.get("/v1/admin/deletions").await {
            let deletions = answer.body["deletions"].as_array().cloned().unwrap_or_default();
            let found = deletions.into_iter().find(|deletion| deletion["userId"] == user_id);
            last = found.unwrap_or(answer.body);
            let services = last["proofs"].as_array().map_or(0, Vec::len);
            if last["completeTime"].is_string() && services == 4 {
                return Ok(last);
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    anyhow::bail!("the deletion does not complete: {last}")
}

async fn wait(limit: Duration, what: &str, mut done: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !done().await? {
        ensure!(Instant::now() < deadline, "not after {limit:?}: {what}");
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Every table, file and key that names the user, by id or address, but for the marks.
async fn places_of(platform: &Platform, user: &Leaving) -> Result<Vec<String>> {
    let mut places = Vec::new();
    let mut connection = PgConnection::connect(&platform.stack().postgres_url("postgres")).await?;
    for table in tables(&mut connection).await? {
        if !MARKS.contains(&table.as_str()) && names(&mut connection, &table, &user.id).await? {
            places.push(table.clone());
        }
        if names(&mut connection, &table, &user.email).await? {
            places.push(format!("{table} (address)"));
        }
    }
    connection.close().await?;
    files(&platform.folder().join("objects"), &user.id, &mut places)?;
    places.extend(keys(&platform.stack().redis_url(), &user.id).await?);
    Ok(places)
}

async fn tables(connection: &mut PgConnection) -> Result<Vec<String>> {
    let query = "SELECT table_schema || '.' || table_name FROM information_schema.tables
                 WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')";
    let rows = sqlx::query(query).fetch_all(connection).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Looks at whole rows as text, so that no column is left out, and at bytes for what text does not show of them.
async fn names(connection: &mut PgConnection, table: &str, text: &str) -> Result<bool> {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let query = format!(
        "SELECT EXISTS (SELECT FROM {table} AS line WHERE line::text LIKE '%{text}%' OR line::text LIKE '%{hex}%')"
    );
    Ok(sqlx::query(AssertSqlSafe(query)).fetch_one(connection).await?.get(0))
}

fn files(folder: &Path, text: &str, places: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().contains(text) {
            places.push(path.display().to_string());
        }
        if path.is_dir() {
            files(&path, text, places)?;
        }
    }
    Ok(())
}

/// Buckets of limits are among them until they are full again.
async fn keys(redis_url: &str, text: &str) -> Result<Vec<String>> {
    let address = redis_url.trim_start_matches("redis://");
    let mut redis = TcpStream::connect(address).await?;
    redis.write_all(format!("KEYS *{text}*\r\nQUIT\r\n").as_bytes()).await?;
    let mut answer = String::new();
    redis.read_to_string(&mut answer).await?;
    Ok(answer
        .lines()
        .filter(|line| line.contains(text))
        .map(str::to_owned)
        .collect())
}

async fn number(platform: &Platform, query: &str) -> Result<i64> {
    let mut connection = PgConnection::connect(&platform.stack().postgres_url("postgres")).await?;
    let row = sqlx::query(AssertSqlSafe(query.to_owned()))
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(row.get(0))
}

async fn execute(platform: &Platform, statement: &str) -> Result<()> {
    let mut connection = PgConnection::connect(&platform.stack().postgres_url("postgres")).await?;
    sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}
