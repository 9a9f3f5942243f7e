//! `svc-auth verify-audit`: walks the audit log and says where the past was changed.

use anyhow::{Context, ensure};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection};

use crate::{
    audit::{AuditKey, GENESIS},
    config::VerifyAuditConfig,
    master_key::hex,
    store,
};

const BATCH: i64 = 1_000;

/// As far as the log was found whole.
struct Walked {
    events: i64,
    /// The hash of the last event: kept elsewhere, it shows later whether the newest events were cut off.
    head: Vec<u8>,
    /// Whether the expected head has come by.
    is_expected_found: bool,
}

/// Fails at the first event that does not follow the one before it, and when the head of an earlier verification is no
/// longer a part of the chain.
pub async fn verify_audit(config: VerifyAuditConfig) -> anyhow::Result<()> {
    let key = AuditKey::new(&config.master_key);
    let expected = config.expected_head.as_deref();
    let mut connection = PgConnection::connect(config.owner_url.expose_secret())
        .await
        .context("connecting to the database")?;
    let walked = walk(&mut connection, &key, expected).await?;
    connection.close().await.context("closing the connection")?;

    ensure!(
        walked.is_expected_found,
        "the expected head is not in the audit log: its end was cut off"
    );
    tracing::info!(
        events = walked.events,
        head = hex(&walked.head),
        "every audit event follows the one before it"
    );
    Ok(())
}

async fn walk(connection: &mut PgConnection, key: &AuditKey, expected: Option<&str>) -> anyhow::Result<Walked> {
    let mut walked = Walked {
        events: 0,
        head: GENESIS.to_vec(),
        is_expected_found: expected.is_none_or(|expected| expected == hex(&GENESIS)),
    };
    loop {
        let links = store::links_after(connection, walked.events, BATCH)
            .await
            .context("reading audit events")?;
        if links.is_empty() {
            return Ok(walked);
        }
        for stored in links {
            let (sequence, next) = (stored.link.sequence, walked.events + 1);
            ensure!(sequence == next, "audit event {next} is missing");
            ensure!(
                key.follows(&walked.head, &stored.link, &stored.hash),
                "audit event {sequence} was changed"
            );
            walked.is_expected_found |= expected == Some(hex(&stored.hash).as_str());
            walked.events = sequence;
            walked.head = stored.hash;
        }
    }
}
