//! DeleteBookmark.

use service::postgres;
use uuid::Uuid;

use crate::{error::Error, events, grpc::Bookmarks, store};

impl Bookmarks {
    pub(super) async fn delete(&self, owner: Uuid, id: Uuid, etag: &str) -> Result<(), Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let version = store::advance(&mut transaction, owner).await?;
        if !etag.is_empty() {
            let saved = store::find_for_update(&mut transaction, owner, id)
                .await?
                .ok_or(Error::NotFound)?;
            if saved.etag() != etag {
                return Err(Error::EtagMismatch);
            }
        }
        if !store::delete(&mut transaction, owner, id).await? {
            return Err(Error::NotFound);
        }
        events::put_deleted(&mut transaction, owner, version, id).await?;
        transaction.commit().await?;

        self.waker.wake();
        Ok(())
    }
}
