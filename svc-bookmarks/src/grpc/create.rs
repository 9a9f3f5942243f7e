//! CreateBookmark.

use bookmesh_proto::bookmarks::v1::{self as proto, CreateBookmarkRequest};
use idempotency::NamedRequest;
use prost::Message;
use service::{clock, id, postgres};
use uuid::Uuid;

use crate::{
    domain::Bookmark,
    error::Error,
    events,
    grpc::{Bookmarks, fields},
    store,
};

impl Bookmarks {
    pub(super) async fn create(&self, owner: Uuid, request: CreateBookmarkRequest) -> Result<proto::Bookmark, Error> {
        let bookmark = request.bookmark.unwrap_or_default();
        let asked = bookmark.encode_to_vec();
        let named = NamedRequest::parse(owner, "CreateBookmark", &request.request_id, &[&asked])?;
        let content = fields::content(bookmark)?;
        let now = clock::now();

        let mut transaction = postgres::begin(&self.pool, owner).await?;
        if let Some(named) = &named
            && let Some(answer) = named.begin(&mut transaction).await?
        {
            return Ok(answer);
        }
        let version = store::advance(&mut transaction, owner).await?;
        let bookmarks = [Bookmark::new(id::generate(), content, now, now, version)];
        let collections = store::ensure_collections(&mut transaction, owner, &bookmarks, id::generate).await?;
        if store::insert(&mut transaction, owner, &bookmarks, &collections).await? == 0 {
            let identities = [bookmarks[0].content.url.identity()];
            let saved = store::find_by_identities(&mut transaction, owner, &identities).await?;
            let bookmark_id = saved.first().map(|bookmark| bookmark.id).unwrap_or_default();
            return Err(Error::AlreadyExists { bookmark_id });
        }
        events::put_created(&mut transaction, owner, version, &bookmarks).await?;
        let answer = proto::Bookmark::from(&bookmarks[0]);
        if let Some(named) = &named {
            named.keep(&mut transaction, &answer).await?;
        }
        transaction.commit().await?;

        self.waker.wake();
        Ok(answer)
    }
}
