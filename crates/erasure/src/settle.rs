//! What is left of deleted owners on the way to others: events with their content in the stream, and the answer itself.

use std::time::Duration;

use anyhow::Context;
use async_nats::Client;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Names, store};

const EVERY: Duration = Duration::from_secs(2);
const AT_ONCE: i64 = 100;

/// Works until the shutdown. NATS and Postgres may go and come back meanwhile.
pub(crate) async fn settle(
    pool: PgPool,
    nats: Client,
    names: Names,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut failing = false;
    while shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        match settle_all(&pool, &nats, names).await {
            Ok(()) => failing = false,
            Err(error) if !std::mem::replace(&mut failing, true) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "events of deleted users cannot be forgotten, trying again"
                );
            }
            Err(_) => {}
        }
    }
    Ok(())
}

async fn settle_all(pool: &PgPool, nats: &Client, names: Names) -> anyhow::Result<()> {
    let owners = store::unsettled(pool, AT_ONCE)
        .await
        .context("looking for deleted users")?;
    for owner in owners {
        for event in names.events {
            outbox::purge(nats, &outbox::subject(names.source, event, owner)).await?;
        }
        forget_answer(pool, owner).await.context("forgetting an answer")?;
    }
    Ok(())
}

/// Once it is published. If it is lost on the way after that, svc-auth asks again.
async fn forget_answer(pool: &PgPool, owner: Uuid) -> sqlx::Result<()> {
    let mut transaction = service::postgres::begin(pool, owner).await?;
    if outbox::forget_published(&mut transaction, owner).await? {
        store::settle(&mut transaction, owner).await?;
    }
    transaction.commit().await
}
