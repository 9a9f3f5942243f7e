//! When API tokens were last used: written beside the calls, never in their way.

use anyhow::Context;
use service::postgres;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store;

/// While the database is slow, uses beyond these are not noted; the next one is.
const WAITING_MAX: usize = 1_024;

/// Takes notice of uses.
#[derive(Clone)]
pub(crate) struct TokenUses(mpsc::Sender<TokenUse>);

/// Writes down what [`TokenUses`] took notice of.
pub(crate) struct TokenUseWriter {
    pool: PgPool,
    uses: mpsc::Receiver<TokenUse>,
}

#[derive(Clone, Copy)]
struct TokenUse {
    user_id: Uuid,
    api_token_id: Uuid,
    at: OffsetDateTime,
}

pub(crate) fn token_uses(pool: PgPool) -> (TokenUses, TokenUseWriter) {
    let (sender, uses) = mpsc::channel(WAITING_MAX);
    (TokenUses(sender), TokenUseWriter { pool, uses })
}

impl TokenUses {
    pub(crate) fn note(&self, user_id: Uuid, api_token_id: Uuid, at: OffsetDateTime) {
        // A full queue costs a time that is a minute wrong; the call is worth more.
        self.0
            .try_send(TokenUse {
                user_id,
                api_token_id,
                at,
            })
            .ok();
    }
}

impl TokenUseWriter {
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let token_use = tokio::select! {
                token_use = self.uses.recv() => token_use,
                () = shutdown.cancelled() => return Ok(()),
            };
            let Some(token_use) = token_use else { return Ok(()) };
            if let Err(error) = self.write(token_use).await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the use of an API token could not be noted"
                );
            }
        }
    }

    async fn write(&self, token_use: TokenUse) -> anyhow::Result<()> {
        let TokenUse {
            user_id,
            api_token_id,
            at,
        } = token_use;
        let mut transaction = postgres::begin(&self.pool, user_id).await.context("beginning")?;
        store::note_api_token_use(&mut transaction, user_id, api_token_id, at)
            .await
            .context("writing")?;
        transaction.commit().await.context("committing")
    }
}
