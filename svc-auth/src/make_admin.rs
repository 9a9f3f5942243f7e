//! `svc-auth make-admin <email>`: for operators, who have the database and no session.

use anyhow::{Context, anyhow};
use secrecy::ExposeSecret;
use service::clock;
use sqlx::{Connection, PgConnection};

use crate::{
    audit::{Action, AuditKey, Event, Outcome},
    config::MakeAdminConfig,
    origin::Origin,
    registration::Email,
    role::Role,
    store,
};

/// Stands in the audit log where programs name themselves.
const USER_AGENT: &str = "svc-auth make-admin";

/// Gives the account the role of admins. Again changes nothing, and is noted again.
pub async fn make_admin(config: MakeAdminConfig, email: String) -> anyhow::Result<()> {
    let email = Email::parse(email).map_err(|violation| anyhow!("the address {}", violation.description))?;
    let key = AuditKey::new(&config.master_key);
    let mut connection = PgConnection::connect(config.owner_url.expose_secret())
        .await
        .context("connecting to the database")?;

    let mut transaction = connection.begin().await.context("making an admin")?;
    let user_id = store::user_with_address(&mut transaction, &email.key()).await;
    let user_id = user_id
        .context("making an admin")?
        .context("no account has this address")?;
    store::act_for(&mut transaction, user_id)
        .await
        .context("making an admin")?;
    store::set_role(&mut transaction, user_id, Role::Admin)
        .await
        .context("making an admin")?;
    let origin = Origin {
        address: None,
        user_agent: USER_AGENT.to_owned(),
    };
    let event = Event::new(None, Action::UserRoleChanged, Outcome::Succeeded, &origin, clock::now());
    // Nobody's in particular: the operator has no account.
    store::act_for_nobody(&mut transaction)
        .await
        .context("making an admin")?;
    store::append_event(&mut transaction, &key, event.done_to(user_id))
        .await
        .context("noting who was made an admin")?;
    transaction.commit().await.context("making an admin")?;
    connection.close().await.context("closing the connection")?;

    tracing::info!(user.id = %user_id, "the account is an admin's; the role counts from the next log-in or refresh on");
    Ok(())
}
