//! The database keeps identities and attempts apart even when a query forgets to.

use sqlx::{Connection, PgConnection, Row};

use super::Setup;

async fn count(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query(query).fetch_one(connection).await.unwrap().get(0)
}

#[tokio::test]
async fn a_transaction_sees_what_is_its_owners_and_a_log_in_under_way_is_nobodys() {
    let setup = Setup::start().await;
    let one = setup.log_in("company").await.unwrap();
    setup.log_in("club").await.unwrap();
    setup.begin("company").await.unwrap();
    setup.begin("company").await.unwrap();
    setup.begin_link(&one.access_token, "club").await.unwrap();
    let (identities, attempts) = ("SELECT count(*) FROM identities", "SELECT count(*) FROM oidc_attempts");
    let mut connection = PgConnection::connect(&setup.app.database.app_url).await.unwrap();

    assert_eq!(count(&mut connection, identities).await, 0);
    assert_eq!(count(&mut connection, attempts).await, 2);
    for (task, seen) in [("mails", 0), ("", 2)] {
        sqlx::query("SELECT set_config('bookmesh.task', $1, false)")
            .bind(task)
            .execute(&mut connection)
            .await
            .unwrap();
        assert_eq!(count(&mut connection, attempts).await, seen, "{task}");
    }
    sqlx::query("SELECT set_config('bookmesh.owner', $1, false)")
        .bind(&one.session.unwrap().user_id)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(count(&mut connection, identities).await, 1);
    assert_eq!(count(&mut connection, attempts).await, 1);
    for statement in [
        "UPDATE identities SET user_id = gen_random_uuid()",
        "UPDATE oidc_attempts SET user_id = gen_random_uuid()",
        "UPDATE oidc_attempts SET user_id = NULL, session_id = NULL",
    ] {
        let moved = sqlx::query(statement).execute(&mut connection).await.unwrap_err();
        assert!(moved.to_string().contains("row-level security"), "{statement}: {moved}");
    }
}
