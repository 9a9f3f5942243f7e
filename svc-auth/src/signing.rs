//! The keys that sign access tokens, kept encrypted, published, and taking turns; and the tokens themselves.
//!
//! Each key is published ahead of its turn, signs for a period, and stays published until every token that it signed has long
//! ended. Which key signs when is in Postgres; a replica needs to have read it once since the next key was published.

mod ring;

use std::{sync::Arc, time::Duration as StdDuration};

use anyhow::Context;
use arc_swap::ArcSwap;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use bookmesh_proto::auth::v1::Jwks;
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;
use service::identity::{ACCESS_AUDIENCE, ACCESS_ISSUER, ACCESS_TYPE};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::ring::{Ring, purpose};
use crate::{
    domain::{ACCESS_TOKEN_LIFE, Session},
    master_key::MasterKey,
    role::Role,
    store::{self, NewSigningKey},
};

/// The next key is published so long before it signs, if the period is not short: whoever keeps the key set for a day because it
/// cannot get a newer one knows it too.
const PUBLISHED_AHEAD_MAX: Duration = Duration::DAY;
/// A key whose turn is over is published for so much longer, twelve times as long as its last token lives.
const PUBLISHED_AFTER: Duration = Duration::HOUR;
const READ_EVERY: StdDuration = StdDuration::from_secs(60);
/// A key id that is not known makes Postgres be asked at most this often, however many tokens bring one.
const UNKNOWN_KEY_ASKED_EVERY: StdDuration = StdDuration::from_secs(5);

/// How long a key signs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Period(Duration);

/// All keys that are published.
pub(crate) struct KeyRing {
    pool: PgPool,
    master_key: Arc<MasterKey>,
    period: Period,
    ring: ArcSwap<Ring>,
    /// When Postgres was last asked for a key that is not known. Held while asking, so that all who wait share one query.
    asked: Mutex<Option<Instant>>,
}

/// An access token and how long it can be used.
pub(crate) struct AccessToken {
    pub token: String,
    pub life: Duration,
}

/// RFC 9068 claims, and our own `gen`: the generation of the refresh token that came with it.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    sid: Uuid,
    r#gen: i64,
    scope: &'a str,
    amr: &'a [String],
    auth_time: i64,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Period {
    pub(crate) fn days(days: u32) -> Period {
        Period(Duration::days(days.max(1).into()))
    }

    fn ahead(self) -> Duration {
        PUBLISHED_AHEAD_MAX.min(self.0 / 4)
    }
}

impl KeyRing {
    /// Reads the keys; the first replica of all to start makes one.
    pub(crate) async fn load(
        pool: PgPool,
        master_key: Arc<MasterKey>,
        period: Period,
        now: OffsetDateTime,
    ) -> anyhow::Result<KeyRing> {
        change_keys(&pool, &master_key, period, now).await?;
        let ring = read(&pool, &master_key, now).await?;
        Ok(KeyRing {
            pool,
            master_key,
            period,
            ring: ArcSwap::from_pointee(ring),
            asked: Mutex::default(),
        })
    }

    /// Adds and deletes keys when it is time, and keeps what is known here fresh. Every replica does; none needs to.
    pub(crate) async fn keep_fresh(self: Arc<Self>, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(READ_EVERY) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            let turned = async {
                let now = store::database_now(&self.pool)
                    .await
                    .context("asking postgres for the time")?;
                self.turn(now).await
            };
            if let Err(error) = turned.await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "signing keys could not be read, those known are used on"
                );
            }
        }
    }

    /// What is due at `now`.
    pub(crate) async fn turn(&self, now: OffsetDateTime) -> anyhow::Result<()> {
        change_keys(&self.pool, &self.master_key, self.period, now).await?;
        self.read_again(now).await
    }

    pub(crate) fn jwks(&self) -> Jwks {
        self.ring.load().jwks()
    }

    /// The public key that a token's header names. Another replica may have been the first to publish it.
    pub(crate) async fn public_key(&self, id: &str, now: OffsetDateTime) -> Option<[u8; 32]> {
        if let Some(key) = self.ring.load().public_key(id) {
            return Some(key);
        }
        let mut asked = self.asked.lock().await;
        let may_ask = asked.is_none_or(|moment| moment.elapsed() >= UNKNOWN_KEY_ASKED_EVERY);
        if may_ask && self.ring.load().public_key(id).is_none() {
            *asked = Some(Instant::now());
            if let Err(error) = self.read_again(now).await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "signing keys could not be read, those known are used on"
                );
            }
        }
        self.ring.load().public_key(id)
    }

    /// The keys by which to sign now. A process that was asleep for so long that it may have missed the publication of the
    /// next one, and so would sign with one that nobody knows any more, reads them first.
    async fn fresh_ring(&self, now: OffsetDateTime) -> anyhow::Result<Arc<Ring>> {
        if now - self.ring.load().read_at() > self.period.ahead() / 2 {
            self.read_again(now).await?;
        }
        Ok(self.ring.load_full())
    }

    async fn read_again(&self, now: OffsetDateTime) -> anyhow::Result<()> {
        let ring = read(&self.pool, &self.master_key, now).await?;
        self.ring.store(Arc::new(ring));
        Ok(())
    }

    /// Ends with the session when that is earlier.
    pub(crate) async fn sign(
        &self,
        session: &Session,
        role: Role,
        token_id: Uuid,
        now: OffsetDateTime,
    ) -> anyhow::Result<AccessToken> {
        let ring = self.fresh_ring(now).await?;
        let (key_id, key) = ring.active(now);
        let life = ACCESS_TOKEN_LIFE.min(session.state.expires_at - now);
        let issued_at = now.unix_timestamp();
        let claims = Claims {
            iss: ACCESS_ISSUER,
            aud: ACCESS_AUDIENCE,
            sub: session.user_id,
            sid: session.id,
            r#gen: session.state.generation,
            scope: role.scopes(),
            amr: &session.authentication.methods,
            auth_time: session.authentication.at.unix_timestamp(),
            jti: token_id,
            iat: issued_at,
            nbf: issued_at,
            exp: issued_at + life.whole_seconds(),
        };
        let header = Header {
            typ: Some(ACCESS_TYPE.to_owned()),
            kid: Some(key_id.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = jsonwebtoken::encode(&header, &claims, key).context("signing an access token")?;
        Ok(AccessToken { token, life })
    }
}

/// Adds the next key and deletes old ones when it is time. One statement each decides, so replicas need no leader.
async fn change_keys(pool: &PgPool, master_key: &MasterKey, period: Period, now: OffsetDateTime) -> anyhow::Result<()> {
    let newest = store::signing_keys(pool)
        .await
        .context("reading signing keys")?
        .into_iter()
        .next();
    if newest.is_none_or(|newest| newest.activates_at + period.0 - period.ahead() <= now) {
        let key = generate(master_key)?;
        let (period, ahead) = (period.0.as_seconds_f64(), period.ahead().as_seconds_f64());
        let added = store::add_next_signing_key(pool, &key, period, ahead, now)
            .await
            .context("storing a signing key")?;
        if added {
            tracing::info!(key.id = key.id, "signing key published");
        }
    }
    let deleted = store::delete_signing_keys_before(pool, now - PUBLISHED_AFTER)
        .await
        .context("deleting old signing keys")?;
    if deleted > 0 {
        tracing::info!(keys = deleted, "old signing keys deleted");
    }
    Ok(())
}

async fn read(pool: &PgPool, master_key: &MasterKey, now: OffsetDateTime) -> anyhow::Result<Ring> {
    let rows = store::signing_keys(pool).await.context("reading signing keys")?;
    Ring::new(&rows, master_key, now)
}

fn generate(master_key: &MasterKey) -> anyhow::Result<NewSigningKey> {
    let pair = Ed25519KeyPair::generate().ok().context("generating a signing key")?;
    let pkcs8 = pair.to_pkcs8().ok().context("encoding a signing key")?;
    let id = service::id::generate().to_string();
    Ok(NewSigningKey {
        public_key: pair.public_key().as_ref().to_vec(),
        private_key_sealed: master_key.seal(&purpose(&id), pkcs8.as_ref()),
        id,
    })
}

#[cfg(test)]
mod tests;
