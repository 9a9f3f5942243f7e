//! UpdateBookmark.

use bookmesh_proto::bookmarks::v1::{self as proto, UpdateBookmarkRequest};
use service::{clock, id, postgres};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::{Bookmark, Identity},
    error::Error,
    events,
    grpc::{
        Bookmarks,
        fields::{self, Fields},
    },
    store,
};

impl Bookmarks {
    pub(super) async fn update(&self, owner: Uuid, request: UpdateBookmarkRequest) -> Result<proto::Bookmark, Error> {
        let message = request.bookmark.unwrap_or_default();
        let id = id::parse_name("bookmark", &message.id).map_err(|_| Error::NotFound)?;
        let wanted = fields::of_mask(request.update_mask, &message)?;
        let etag = message.etag.clone();
        let fields = Fields::parse(message, &wanted)?;

        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let version = store::advance(&mut transaction, owner).await?;
        let saved = store::find_for_update(&mut transaction, owner, id)
            .await?
            .ok_or(Error::NotFound)?;
        if !etag.is_empty() && etag != saved.etag() {
            return Err(Error::EtagMismatch);
        }
        let content = fields.apply(saved.content.clone())?;
        if content == saved.content {
            return Ok(proto::Bookmark::from(&saved));
        }
        if content.url.identity() != saved.content.url.identity() {
            refuse_saved(&mut transaction, owner, content.url.identity()).await?;
        }
        let changed = [saved.changed(content, clock::now(), version)];
        let collections = store::ensure_collections(&mut transaction, owner, &changed, id::generate).await?;
        store::update(&mut transaction, owner, &changed, &collections).await?;
        events::put_updated(&mut transaction, owner, version, &changed).await?;
        transaction.commit().await?;

        self.waker.wake();
        Ok(proto::Bookmark::from(&changed[0]))
    }
}

/// A URL may not become one that the owner has saved under another id.
async fn refuse_saved(connection: &mut PgConnection, owner: Uuid, identity: Identity) -> Result<(), Error> {
    let saved: Vec<Bookmark> = store::find_by_identities(connection, owner, &[identity]).await?;
    match saved.first() {
        Some(other) => Err(Error::AlreadyExists { bookmark_id: other.id }),
        None => Ok(()),
    }
}
