//! The SQL of admins and of what they do to accounts. What is read across owners goes through functions that ask for
//! themselves whether the transaction is an admin's; all else is done as the user whom it is about.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::EndReason;
use crate::{audit::Link, role::Role};

/// An account as an admin sees it.
pub(crate) struct ManagedUser {
    pub id: Uuid,
    pub email: String,
    pub display_name: String,
    pub role: Role,
    pub disabled_at: Option<OffsetDateTime>,
    pub password_reset_required: bool,
    pub created_at: OffsetDateTime,
}

/// Which accounts to list.
pub(crate) struct UserFilter {
    /// What their address begins with, folded; empty for all.
    pub email_key_prefix: String,
    pub is_disabled: Option<bool>,
}

/// Whether one may log in, and as what.
pub(crate) struct Standing {
    pub role: Role,
    pub is_disabled: bool,
    pub password_reset_required: bool,
    /// There is one, and nobody has shown that they read its mail.
    pub has_unconfirmed_email: bool,
}

struct ManagedRow {
    id: Uuid,
    email: String,
    display_name: String,
    role: String,
    disabled_at: Option<OffsetDateTime>,
    password_reset_required: bool,
    created_at: OffsetDateTime,
}

/// Makes the user of this transaction an admin if nobody has registered before. Others that register for the first time at
/// this moment wait for its end.
pub(crate) async fn make_first_user_admin(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<bool> {
    let is_first = sqlx::query!("INSERT INTO first_registration VALUES (true) ON CONFLICT DO NOTHING")
        .execute(&mut *connection)
        .await?;
    if is_first.rows_affected() == 0 {
        return Ok(false);
    }
    set_role(connection, user_id, Role::Admin).await?;
    Ok(true)
}

/// Held until the end of the transaction: an admin who disables the account at this moment either sees the session that is
/// being opened and ends it, or is seen here. As strong as any lock that a log-in takes of the row later, since two that hold a weaker
/// one could not both get it. None when there is no such user any more.
pub(crate) async fn hold_standing(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Option<Standing>> {
    let row = sqlx::query!(
        r#"SELECT role, disabled_at IS NOT NULL AS "is_disabled!", password_reset_required,
                  email_key IS NOT NULL AND email_confirmed_at IS NULL AS "has_unconfirmed_email!"
           FROM users WHERE id = $1 FOR NO KEY UPDATE"#,
        user_id
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Standing {
        role: row.role.parse()?,
        is_disabled: row.is_disabled,
        password_reset_required: row.password_reset_required,
        has_unconfirmed_email: row.has_unconfirmed_email,
    }))
}

pub(crate) async fn acts_as_admin(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT acts_as_admin() AS "is_admin!""#)
        .fetch_one(connection)
        .await
}

/// From here on the transaction is this user's.
pub(crate) async fn act_for(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query_scalar!("SELECT set_config('bookmesh.owner', $1, true)", user_id.to_string())
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// From here on the transaction is nobody's.
pub(crate) async fn act_for_nobody(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query_scalar!("SELECT set_config('bookmesh.owner', '', true)")
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Newest first, from before the user `before` on; none at all unless the transaction is an admin's.
pub(crate) async fn list_users(
    connection: &mut PgConnection,
    filter: &UserFilter,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<ManagedUser>> {
    let rows = sqlx::query_as!(
        ManagedRow,
        r#"SELECT id AS "id!", email AS "email!", display_name AS "display_name!", role AS "role!", disabled_at,
                  password_reset_required AS "password_reset_required!", created_at AS "created_at!"
           FROM users_for_admin($1, $2, $3, $4)"#,
        before as _,
        like_prefix(&filter.email_key_prefix),
        filter.is_disabled as _,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(ManagedRow::into_user).collect()
}

/// Locked until the end of the transaction, which is this user's: what changes an account goes one by one.
pub(crate) async fn lock_user(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<ManagedUser>> {
    let row = sqlx::query_as!(
        ManagedRow,
        "SELECT id, email, display_name, role, disabled_at, password_reset_required, created_at
         FROM users WHERE id = $1 FOR NO KEY UPDATE",
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(ManagedRow::into_user).transpose()
}

pub(crate) async fn set_disabled(
    connection: &mut PgConnection,
    id: Uuid,
    since: Option<OffsetDateTime>,
) -> sqlx::Result<()> {
    sqlx::query!("UPDATE users SET disabled_at = $2 WHERE id = $1", id, since)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn require_password_reset(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("UPDATE users SET password_reset_required = true WHERE id = $1", id)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn set_role(connection: &mut PgConnection, id: Uuid, role: Role) -> sqlx::Result<()> {
    sqlx::query!("UPDATE users SET role = $2 WHERE id = $1", id, role.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Held until the end of the transaction.
pub(crate) async fn has_other_admin(connection: &mut PgConnection, besides: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT has_other_admin($1) AS "has!""#, besides)
        .fetch_one(connection)
        .await
}

/// Ends all sessions of the user; answers which were ended by this.
pub(crate) async fn end_all_sessions(
    connection: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Uuid>> {
    let reason = EndReason::EndedByAdmin;
    super::end_other_sessions(connection, user_id, Uuid::nil(), reason, now).await
}

/// What the user did and what was done to them, newest first; nothing unless the transaction is an admin's.
pub(crate) async fn list_events_about(
    connection: &mut PgConnection,
    user_id: Uuid,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Vec<Link>> {
    sqlx::query_as!(
        Link,
        r#"SELECT sequence AS "sequence!", id AS "id!", user_id, session_id, object_id, action AS "action!",
                  outcome AS "outcome!", address AS "address!", user_agent AS "user_agent!", created_at AS "created_at!"
           FROM audit_events_for_admin($1, $2, $3)"#,
        user_id,
        before as _,
        limit
    )
    .fetch_all(connection)
    .await
}

/// For the role that owns the table, which may read every row.
pub(crate) async fn user_with_address(connection: &mut PgConnection, email_key: &str) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!("SELECT id FROM users WHERE email_key = $1", email_key)
        .fetch_optional(connection)
        .await
}

/// The pattern of what begins with the text, whatever characters it has.
fn like_prefix(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if matches!(character, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

impl ManagedRow {
    fn into_user(self) -> sqlx::Result<ManagedUser> {
        Ok(ManagedUser {
            id: self.id,
            email: self.email,
            display_name: self.display_name,
            role: self.role.parse()?,
            disabled_at: self.disabled_at,
            password_reset_required: self.password_reset_required,
            created_at: self.created_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::like_prefix;

    #[test]
    fn a_prefix_is_taken_by_the_letter() {
        assert_eq!(like_prefix(""), "%");
        assert_eq!(like_prefix(r"a_b%c\d"), r"a\_b\%c\\d%");
    }
}
