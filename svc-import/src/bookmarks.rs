//! What svc-import asks of svc-bookmarks.

use std::time::Duration;

use bookmesh_proto::bookmarks::v1::{
    CollectionPath, UpsertBookmarksRequest, UpsertItem, UpsertResult,
    bookmark_internal_service_client::BookmarkInternalServiceClient,
};
use service::client::InternalClient;
use tonic::Status;
use uuid::Uuid;

use crate::netscape::Row;

const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(crate) struct Bookmarks {
    client: InternalClient,
}

impl Bookmarks {
    pub(crate) fn new(client: InternalClient) -> Self {
        Self { client }
    }

    /// Saves a batch; one that was saved before, under the same name, answers what it answered then.
    pub(crate) async fn upsert(
        &self,
        owner: Uuid,
        batch_id: &str,
        items: Vec<UpsertItem>,
    ) -> Result<Vec<UpsertResult>, Status> {
        let message = UpsertBookmarksRequest {
            batch_id: batch_id.to_owned(),
            items,
        };
        let request = self.client.request(owner, message, TIMEOUT);
        let mut stub = BookmarkInternalServiceClient::new(self.client.channel());
        Ok(stub.upsert_bookmarks(request).await?.into_inner().results)
    }
}

pub(crate) fn item(row: &Row) -> UpsertItem {
    UpsertItem {
        url: row.url.clone(),
        title: row.title.clone(),
        description: row.description.clone(),
        tags: row.tags.clone(),
        collection: (!row.folder.is_empty()).then(|| CollectionPath {
            names: row.folder.to_vec(),
        }),
        to_read: row.to_read,
        private: row.private,
        create_time: row.add_date.map(service::time::to_proto),
    }
}
