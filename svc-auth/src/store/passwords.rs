//! The SQL of passwords: looked up, replaced by a stronger hash, changed.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::password::StoredHash;

/// What a password is compared with.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub user_id: Uuid,
    pub stored: StoredHash,
    /// How often the password was changed.
    pub password_version: i64,
}

pub(crate) async fn user_for_login(pool: &PgPool, email_key: &str) -> sqlx::Result<Option<Login>> {
    let row = sqlx::query!(
        r#"SELECT id AS "id!", password_hash AS "password_hash!", pepper_id AS "pepper_id!",
                  password_version AS "password_version!"
           FROM user_for_login($1)"#,
        email_key
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Login {
        user_id: row.id,
        stored: StoredHash {
            phc: row.password_hash,
            pepper_id: row.pepper_id,
        },
        password_version: row.password_version,
    }))
}

pub(crate) async fn password_of(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Option<Login>> {
    let row = sqlx::query!(
        "SELECT password_hash, pepper_id, password_version FROM users WHERE id = $1",
        user_id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Login {
        user_id,
        stored: StoredHash {
            phc: row.password_hash,
            pepper_id: row.pepper_id,
        },
        password_version: row.password_version,
    }))
}

/// Does nothing when the hash has been replaced meanwhile.
pub(crate) async fn replace_password_hash(
    connection: &mut PgConnection,
    user_id: Uuid,
    old: &StoredHash,
    new: &StoredHash,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE users SET password_hash = $3, pepper_id = $4 WHERE id = $1 AND password_hash = $2",
        user_id,
        old.phc,
        new.phc,
        new.pepper_id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Answers false when the password has been changed since `old` was read.
pub(crate) async fn change_password(
    connection: &mut PgConnection,
    old: &Login,
    new: &StoredHash,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "UPDATE users SET password_hash = $3, pepper_id = $4, password_version = password_version + 1,
                          password_reset_required = false
         WHERE id = $1 AND password_version = $2",
        old.user_id,
        old.password_version,
        new.phc,
        new.pepper_id
    )
    .execute(connection)
    .await?;
    Ok(changed.rows_affected() == 1)
}
