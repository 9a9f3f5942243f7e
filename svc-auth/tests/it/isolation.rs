//! The database keeps users apart even when a query forgets to.

use sqlx::{Connection, PgConnection, Row};

use crate::{
    api_tokens::make,
    app::{EMAIL, PASSWORD, TestApp},
    authenticator::Authenticator,
    passkeys::add,
    second_factors::enrol_and_confirm,
};

async fn count(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query(query).fetch_one(connection).await.unwrap().get(0)
}

const COUNTS: [&str; 10] = [
    "SELECT count(*) FROM users",
    "SELECT count(*) FROM sessions",
    "SELECT count(*) FROM api_tokens",
    "SELECT count(*) FROM mail_tokens",
    "SELECT count(DISTINCT user_id) FROM audit_events",
    "SELECT count(*) FROM totp_factors",
    "SELECT count(DISTINCT user_id) FROM recovery_codes",
    "SELECT count(*) FROM login_challenges",
    "SELECT count(*) FROM passkeys",
    "SELECT count(*) FROM used_ceremonies",
];

async fn two_users(app: &TestApp) -> String {
    let ada = app.register("ada@example.com", PASSWORD).await.unwrap();
    app.register("bob@example.com", PASSWORD).await.unwrap();
    for email in ["ada@example.com", "bob@example.com"] {
        let tokens = app.log_in(email, PASSWORD).await.unwrap();
        make(app, &tokens.access_token, email, &["tasks:read"]).await.unwrap();
        add(app, &tokens.access_token, &mut Authenticator::new(), "Phone")
            .await
            .unwrap();
        enrol_and_confirm(app, &tokens.access_token).await;
        app.log_in(email, PASSWORD).await.unwrap_err();
    }
    ada.id
}

#[tokio::test]
async fn without_an_owner_no_row_is_seen_and_with_one_only_the_owners() {
    let app = TestApp::start().await;
    let ada = two_users(&app).await;
    let mut connection = PgConnection::connect(&app.database.app_url).await.unwrap();

    for query in COUNTS {
        assert_eq!(count(&mut connection, query).await, 0, "{query}");
    }
    sqlx::query("SELECT set_config('bookmesh.owner', $1, false)")
        .bind(&ada)
        .execute(&mut connection)
        .await
        .unwrap();
    for query in COUNTS {
        assert_eq!(count(&mut connection, query).await, 1, "{query}");
    }
}

#[tokio::test]
async fn the_service_cannot_write_for_another_user() {
    let app = TestApp::start().await;
    let ada = two_users(&app).await;
    let mut connection = PgConnection::connect(&app.database.app_url).await.unwrap();
    sqlx::query("SELECT set_config('bookmesh.owner', $1, false)")
        .bind(&ada)
        .execute(&mut connection)
        .await
        .unwrap();

    let renamed = sqlx::query("UPDATE users SET display_name = 'mine' WHERE email = 'bob@example.com'");
    assert_eq!(renamed.execute(&mut connection).await.unwrap().rows_affected(), 0);

    for statement in [
        "UPDATE sessions SET user_id = gen_random_uuid()",
        "UPDATE api_tokens SET user_id = gen_random_uuid()",
        "UPDATE totp_factors SET user_id = gen_random_uuid()",
        "UPDATE recovery_codes SET user_id = gen_random_uuid()",
        "UPDATE login_challenges SET user_id = gen_random_uuid()",
        "UPDATE passkeys SET user_id = gen_random_uuid()",
        "UPDATE used_ceremonies SET user_id = gen_random_uuid()",
    ] {
        let moved = sqlx::query(statement).execute(&mut connection).await;
        assert!(
            moved.unwrap_err().to_string().contains("row-level security"),
            "{statement}"
        );
    }
}

#[tokio::test]
async fn mails_are_seen_by_the_task_that_sends_them_and_by_no_users_transaction() {
    let app = TestApp::start().await;
    let ada = two_users(&app).await;
    let mut connection = PgConnection::connect(&app.database.app_url).await.unwrap();
    let mails = "SELECT count(*) FROM mails";

    assert_eq!(count(&mut connection, mails).await, 0);
    sqlx::query("SELECT set_config('bookmesh.task', 'mails', false)")
        .execute(&mut connection)
        .await
        .unwrap();
    // Each was asked to confirm the address, and told of the passkey and of the app.
    assert_eq!(count(&mut connection, mails).await, 6);
    assert_eq!(count(&mut connection, "SELECT count(*) FROM users").await, 0);
    sqlx::query("SELECT set_config('bookmesh.owner', $1, false)")
        .bind(&ada)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(count(&mut connection, mails).await, 0);
}

#[tokio::test]
async fn the_service_owns_nothing_and_cannot_switch_the_policies_off() {
    let app = TestApp::start().await;
    let mut connection = PgConnection::connect(&app.database.app_url).await.unwrap();

    for statement in [
        "ALTER TABLE users NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY everything ON users USING (true)",
        "SET ROLE auth_owner",
    ] {
        assert!(
            sqlx::query(statement).execute(&mut connection).await.is_err(),
            "{statement}"
        );
    }
}

#[tokio::test]
async fn a_dump_of_the_database_holds_no_password_and_no_usable_key() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    let mut admin = app.admin().await;

    let dump = "SELECT (SELECT string_agg(users::text, '') FROM users)
                    || (SELECT string_agg(sessions::text, '') FROM sessions)
                    || (SELECT string_agg(mails::text, '') FROM mails)
                    || (SELECT string_agg(mail_tokens::text, '') FROM mail_tokens)
                    || (SELECT string_agg(signing_keys::text, '') FROM signing_keys)";
    let dump: String = sqlx::query(dump).fetch_one(&mut admin).await.unwrap().get(0);

    assert!(!dump.contains(PASSWORD));
    assert!(!dump.contains(&tokens.refresh_token));
    assert!(!dump.contains(&app.last_token_to(EMAIL).await));
    // PKCS#8 of an Ed25519 key begins with this algorithm identifier.
    assert!(!dump.contains("06032b6570"));
}
