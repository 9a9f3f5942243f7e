//! BookmarkInternalService: batches of imported links.

use bookmesh_proto::bookmarks::v1::{
    UpsertBookmarksRequest, UpsertBookmarksResponse, UpsertItem, UpsertResult,
    bookmark_internal_service_server::BookmarkInternalService, upsert_result,
};
use prost::Message;
use service::{caller, check, clock, id, postgres, status::Violation, time::from_proto};
use sqlx::PgConnection;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    domain::{Bookmark, Identity, ImportedLink, MergeBatch, Outcome, limits},
    error::Error,
    events,
    grpc::Bookmarks,
    store,
};

type Link = Result<ImportedLink, Violation>;

#[tonic::async_trait]
impl BookmarkInternalService for Bookmarks {
    async fn upsert_bookmarks(
        &self,
        request: Request<UpsertBookmarksRequest>,
    ) -> Result<Response<UpsertBookmarksResponse>, Status> {
        let owner = caller::owner(&request)?;
        Ok(Response::new(self.upsert(owner, request.into_inner()).await?))
    }
}

impl Bookmarks {
    async fn upsert(&self, owner: Uuid, request: UpsertBookmarksRequest) -> Result<UpsertBookmarksResponse, Error> {
        let batch_id = batch_id(&request)?;
        let links: Vec<Link> = request.items.iter().map(link).collect();
        let now = clock::now();

        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let last_version = store::lock(&mut transaction, owner).await?;
        if let Some(response) = store::response_of(&mut transaction, owner, &batch_id).await? {
            return UpsertBookmarksResponse::decode(response.as_slice()).map_err(|error| Error::Internal(error.into()));
        }
        let identities: Vec<Identity> = links.iter().flatten().map(|link| link.content.url.identity()).collect();
        let saved = store::find_by_identities(&mut transaction, owner, &identities).await?;
        let mut batch = MergeBatch::new(saved, last_version + 1, now);
        let results = links.into_iter().map(|link| result(&mut batch, link)).collect();
        let (new, changed) = batch.into_parts();
        let version = write(&mut transaction, owner, last_version, &new, &changed).await?;
        let response = UpsertBookmarksResponse { results, version };
        store::keep_response(&mut transaction, owner, &batch_id, &response.encode_to_vec(), now).await?;
        transaction.commit().await?;

        self.waker.wake();
        Ok(response)
    }
}

/// Writes what the batch came to and answers the owner's version after it. A batch that changes nothing is no change.
async fn write(
    connection: &mut PgConnection,
    owner: Uuid,
    last_version: i64,
    new: &[Bookmark],
    changed: &[Bookmark],
) -> Result<i64, Error> {
    if new.is_empty() && changed.is_empty() {
        return Ok(last_version);
    }
    let version = store::advance(&mut *connection, owner).await?;
    let bookmarks = new.iter().chain(changed);
    let collections = store::ensure_collections(&mut *connection, owner, bookmarks, id::generate).await?;
    if !new.is_empty() {
        store::insert(&mut *connection, owner, new, &collections).await?;
        events::put_created(&mut *connection, owner, version, new).await?;
    }
    if !changed.is_empty() {
        store::update(&mut *connection, owner, changed, &collections).await?;
        events::put_updated(connection, owner, version, changed).await?;
    }
    Ok(version)
}

fn batch_id(request: &UpsertBookmarksRequest) -> Result<String, Vec<Violation>> {
    let mut violations = Vec::new();
    violations.extend(check::required_text(
        "batch_id",
        &request.batch_id,
        limits::BATCH_ID_BYTES,
    ));
    if request.items.len() > limits::BATCH_ITEMS {
        let rule = format!("must be at most {}, are {}", limits::BATCH_ITEMS, request.items.len());
        violations.push(Violation::new("items", rule));
    }
    if violations.is_empty() {
        Ok(request.batch_id.clone())
    } else {
        Err(violations)
    }
}

fn link(item: &UpsertItem) -> Link {
    let folders = item
        .collection
        .as_ref()
        .map(|path| path.names.as_slice())
        .unwrap_or_default();
    let mut link = ImportedLink::parse(&item.url, &item.title, &item.description, &item.tags, folders)?;
    link.content.to_read = item.to_read;
    link.content.private = item.private;
    // A date that cannot be is no reason to lose the link.
    link.create_time = item
        .create_time
        .as_ref()
        .and_then(|time| from_proto("create_time", time).ok());
    Ok(link)
}

fn result(batch: &mut MergeBatch, link: Link) -> UpsertResult {
    let outcome = match link {
        Ok(link) => batch.add(link, id::generate()),
        Err(violation) => {
            let reason = format!("{} {}", violation.field, violation.description);
            return UpsertResult {
                outcome: upsert_result::Outcome::Skipped.into(),
                bookmark_id: String::new(),
                reason,
            };
        }
    };
    let (outcome, bookmark_id, reason) = match outcome {
        Outcome::Created(id) => (upsert_result::Outcome::Created, id, ""),
        Outcome::Merged(id, reason) => (upsert_result::Outcome::Merged, id, reason),
        Outcome::Unchanged(id, reason) => (upsert_result::Outcome::Unchanged, id, reason),
    };
    UpsertResult {
        outcome: outcome.into(),
        bookmark_id: bookmark_id.to_string(),
        reason: reason.to_owned(),
    }
}
