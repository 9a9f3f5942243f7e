//! Whether an account may be logged in to: asked once its user has shown who they are, by whichever way, and never before.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{error::Error, role::Role, store};

/// Held until the end of the transaction that opens the session; answers what its tokens may say.
pub(super) async fn require(connection: &mut PgConnection, user_id: Uuid) -> Result<Role, Error> {
    let standing = store::hold_standing(connection, user_id).await?;
    let standing = standing.ok_or(Error::InvalidCredentials)?;
    if standing.is_disabled {
        return Err(Error::AccountDisabled);
    }
    if standing.password_reset_required {
        return Err(Error::PasswordResetRequired);
    }
    Ok(standing.role)
}
