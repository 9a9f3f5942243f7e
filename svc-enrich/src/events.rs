//! What bookmarks' events lead to: proposals, their end, and word of them.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, bail, ensure};
use bookmesh_proto::{
    bookmarks::v1::{Bookmark, BookmarkCreated, BookmarkDeleted, DeletedBookmark},
    enrich::v1::{self as proto, EnrichmentCompleted},
};
use outbox::{Event, Handler, NewEvent};
use prost::Message;
use service::clock;
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::{
    extract::{Text, propose},
    store::{self, Deletion, Enrichment},
};

const CREATED: &str = "bookmesh.bookmarks.v1.BookmarkCreated";
const UPDATED: &str = "bookmesh.bookmarks.v1.BookmarkUpdated";
const DELETED: &str = "bookmesh.bookmarks.v1.BookmarkDeleted";
const COMPLETED: &str = "bookmesh.enrich.v1.EnrichmentCompleted";

/// Eight tags of 40 characters and a summary of 200, all of four bytes, are 2.3 KB: so many stay below the million bytes
/// that an event may have.
const MAX_PER_EVENT: usize = 400;

/// Proposes when bookmarks are created, and forgets when they are deleted.
pub(crate) struct Proposer;

impl Handler for Proposer {
    async fn handle(&self, connection: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        match event.event_type.as_str() {
            CREATED => handle_created(connection, event, clock::now()).await,
            DELETED => handle_deleted(connection, event, clock::now()).await,
            // Proposals say which version they were made from; a change of the owner's makes no new ones.
            UPDATED => Ok(()),
            // What was the owner's is deleted by the word of svc-auth, not by this one.
            erasure::ANSWER => Ok(()),
            unknown => bail!("an event of the unknown type {unknown}"),
        }
    }
}

async fn handle_created(connection: &mut PgConnection, event: &Event, now: OffsetDateTime) -> anyhow::Result<()> {
    let created = BookmarkCreated::decode(event.payload.clone()).context("reading BookmarkCreated")?;
    check_owner(event, &created.owner_id)?;
    // Hundreds of texts: the runtime has calls to answer meanwhile.
    let made = spawn_blocking(move || enrich_all(&created.bookmarks, now))
        .await
        .context("proposing")??;

    let kept = store::save(connection, event.owner_id, &made, now)
        .await
        .context("saving proposals")?;

    let kept: HashSet<Uuid> = kept.into_iter().collect();
    let news: Vec<Enrichment> = made
        .into_iter()
        .filter(|made| kept.contains(&made.bookmark_id))
        .collect();
    for part in news.chunks(MAX_PER_EVENT) {
        put_completed(connection, event, part).await?;
    }
    Ok(())
}

async fn handle_deleted(connection: &mut PgConnection, event: &Event, now: OffsetDateTime) -> anyhow::Result<()> {
    let deleted = BookmarkDeleted::decode(event.payload.clone()).context("reading BookmarkDeleted")?;
    check_owner(event, &deleted.owner_id)?;
    let deletions = deleted
        .bookmarks
        .iter()
        .map(deletion)
        .collect::<anyhow::Result<Vec<_>>>()?;

    store::forget(connection, event.owner_id, &deletions, now)
        .await
        .context("forgetting proposals")
}

async fn put_completed(connection: &mut PgConnection, cause: &Event, news: &[Enrichment]) -> anyhow::Result<()> {
    let owner = cause.owner_id;
    let completed = EnrichmentCompleted {
        owner_id: owner.to_string(),
        enrichments: news.iter().cloned().map(proto::Enrichment::from).collect(),
    };
    let event = NewEvent {
        subject: outbox::subject("enrich", "enrichment_completed", owner),
        event_type: COMPLETED,
        owner_id: owner,
        aggregate_id: cause.aggregate_id,
        version: cause.version,
        payload: completed.encode_to_vec(),
    };
    outbox::put(connection, event)
        .await
        .context("putting EnrichmentCompleted")?;
    Ok(())
}

/// One for each bookmark: of several versions of one, the last.
fn enrich_all(bookmarks: &[Bookmark], now: OffsetDateTime) -> anyhow::Result<Vec<Enrichment>> {
    let mut newest: HashMap<Uuid, &Bookmark> = HashMap::new();
    for bookmark in bookmarks {
        let id = parse_id(&bookmark.id)?;
        let known = newest.entry(id).or_insert(bookmark);
        if known.version < bookmark.version {
            *known = bookmark;
        }
    }
    Ok(newest
        .into_iter()
        .map(|(id, bookmark)| enrich(id, bookmark, now))
        .collect())
}

fn enrich(bookmark_id: Uuid, bookmark: &Bookmark, now: OffsetDateTime) -> Enrichment {
    let proposal = propose(&Text {
        url: &bookmark.url,
        title: &bookmark.title,
        description: &bookmark.description,
        note: &bookmark.note,
        tags: &bookmark.tags,
    });
    Enrichment {
        bookmark_id,
        bookmark_version: bookmark.version,
        tags: proposal.tags,
        summary: proposal.summary,
        created_at: now,
    }
}

fn deletion(deleted: &DeletedBookmark) -> anyhow::Result<Deletion> {
    Ok(Deletion {
        bookmark_id: parse_id(&deleted.id)?,
        version: deleted.version,
    })
}

/// Row-level security goes by the header; an event that says two things is nobody's.
fn check_owner(event: &Event, owner_id: &str) -> anyhow::Result<()> {
    ensure!(
        parse_id(owner_id)? == event.owner_id,
        "the event's owner differs from its header's"
    );
    Ok(())
}

fn parse_id(text: &str) -> anyhow::Result<Uuid> {
    Uuid::parse_str(text).context("reading an id")
}
