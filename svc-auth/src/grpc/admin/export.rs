//! The whole audit log as a stream: read a batch at a time, as fast as the caller takes it.

use bookmesh_proto::auth::v1::{AuditEvent, AuditLink, ExportAuditEventsRequest};
use service::{caller::UserCaller, clock, postgres, status::Violation};
use sqlx::PgPool;
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Admin, require_live};
use crate::{
    audit::Action,
    error::Error,
    store::{self, StoredLink},
};

const BATCH: i64 = 500;
/// A slow reader holds back its own export, not ours: with the batch that is being sent, this is all that is in memory.
const LINKS_AHEAD: usize = 64;

/// Notes the export first; it ends with the event that notes it, so that it does not run after its own tail.
pub(super) async fn begin(
    admin: &Admin<'_>,
    request: &ExportAuditEventsRequest,
) -> Result<ReceiverStream<Result<AuditLink, Status>>, Error> {
    if request.after_sequence < 0 {
        return Err(Violation::new("after_sequence", "must not be negative").into());
    }
    let transaction = admin.begin(Action::AuditEventsExported).await?;
    admin.commit(transaction, Action::AuditEventsExported, None).await?;
    let mut transaction = postgres::begin_unowned(&admin.auth.pool).await?;
    let up_to = store::audit_head(&mut transaction).await?;
    transaction.commit().await?;

    let (links, stream) = mpsc::channel(LINKS_AHEAD);
    let export = Export {
        pool: admin.auth.pool.clone(),
        caller: admin.caller,
        after: request.after_sequence,
        up_to,
        links,
    };
    tokio::spawn(export.run());
    Ok(ReceiverStream::new(stream))
}

struct Export {
    pool: PgPool,
    caller: UserCaller,
    after: i64,
    up_to: i64,
    links: Sender<Result<AuditLink, Status>>,
}

impl Export {
    async fn run(mut self) {
        if let Err(error) = self.send_all().await {
            // Nobody listens any more when this fails.
            let _ = self.links.send(Err(error.into())).await;
        }
    }

    /// Ends with the last link, or when the caller is gone.
    async fn send_all(&mut self) -> Result<(), Error> {
        while self.after < self.up_to {
            let batch = self.batch().await?;
            for link in batch {
                self.after = link.link.sequence;
                if self.links.send(Ok(message(link))).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A short transaction each, so that a slow reader holds nothing. An admin who is none any more, or whose session has
    /// ended, gets no further batch.
    async fn batch(&self) -> Result<Vec<StoredLink>, Error> {
        let mut transaction = postgres::begin(&self.pool, self.caller.user_id).await?;
        require_live(&mut transaction, &self.caller, clock::now()).await?;
        let batch = store::links_for_admin(&mut transaction, self.after, self.up_to, BATCH).await?;
        // After reading: who is no admin has read nothing, and is to hear why.
        if !store::acts_as_admin(&mut transaction).await? {
            return Err(Error::AdminRequired);
        }
        transaction.commit().await?;
        if batch.is_empty() {
            let (after, up_to) = (self.after, self.up_to);
            return Err(anyhow::anyhow!("audit events after {after} are missing, up to {up_to}").into());
        }
        Ok(batch)
    }
}

fn message(stored: StoredLink) -> AuditLink {
    AuditLink {
        sequence: stored.link.sequence,
        hash: stored.hash,
        audit_event: Some(AuditEvent::from(stored.link)),
    }
}
