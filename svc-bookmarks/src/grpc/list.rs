//! ListBookmarks: everything in an order, or what fits a query.

use std::{collections::HashMap, time::Duration};

use bookmesh_proto::bookmarks::v1::{self as proto, ListBookmarksRequest, ListBookmarksResponse, Match};
use prost::Message;
use serde::{Deserialize, Serialize};
use service::{page, status::Violation};
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    domain::{Bookmark, Order},
    error::Error,
    grpc::Bookmarks,
    search::{PageOf, Place, SearchQuery, snippets},
    store::{self, Cursor},
};

const DEFAULT_SIZE: i64 = 20;
const MAX_SIZE: i64 = 200;
/// Below what gRPC clients take by default, 4 MiB: a page of very long bookmarks ends early.
pub(super) const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// A little less than a call has: the answer says why.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// A request, parsed.
pub(super) struct Listing {
    pub(super) owner: Uuid,
    pub(super) query: SearchQuery,
    pub(super) order: Option<Order>,
    pub(super) size: usize,
    /// Everything that must stay the same between pages.
    fingerprint: [String; 3],
    page_token: String,
    min_version: i64,
}

/// [`Cursor`] as it stands in a page token.
#[derive(Serialize, Deserialize)]
pub(super) struct CursorToken {
    microseconds: i64,
    title_key: String,
    id: Uuid,
}

impl Bookmarks {
    pub(super) async fn list(
        &self,
        owner: Uuid,
        request: ListBookmarksRequest,
    ) -> Result<ListBookmarksResponse, Error> {
        let listing = Listing::parse(owner, request)?;
        if listing.query.is_blank() {
            self.list_all(listing).await
        } else {
            self.find_or_look(listing).await
        }
    }

    async fn list_all(&self, listing: Listing) -> Result<ListBookmarksResponse, Error> {
        let order = listing.order.unwrap_or(Order::NewestFirst);
        let after: Option<CursorToken> = listing.decode()?;
        let after = after.map(Cursor::try_from).transpose()?;
        let size = i64::try_from(listing.size + 1).expect("a page is small");

        let bookmarks = store::list(&self.pool, listing.owner, order, after.as_ref(), size).await?;
        let total = store::count(&self.pool, listing.owner).await?;

        let messages: Vec<proto::Bookmark> = bookmarks.iter().map(proto::Bookmark::from).collect();
        let shown = fitting(&messages, listing.size);
        let last = bookmarks[..shown].last().filter(|_| bookmarks.len() > shown);
        Ok(ListBookmarksResponse {
            next_page_token: last.map_or_else(String::new, |last| listing.encode(&CursorToken::of(last, order))),
            bookmarks: messages.into_iter().take(shown).collect(),
            total_size: i32::try_from(total).unwrap_or(i32::MAX),
            ..ListBookmarksResponse::default()
        })
    }

    /// A first page takes whatever can answer; the next ones go on where it was found.
    async fn find_or_look(&self, listing: Listing) -> Result<ListBookmarksResponse, Error> {
        if let Ok(Some(token)) = listing.decode::<CursorToken>() {
            let after = Cursor::try_from(token)?;
            return self.look(&listing, Some(after)).await;
        }
        let is_first = listing.page_token.is_empty();
        if is_first && !self.search.is_complete() {
            return self.look(&listing, None).await;
        }
        match self.find(&listing).await {
            Err(Error::Search(error)) if is_first => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the search index cannot be read, looking through the list"
                );
                self.look(&listing, None).await
            }
            other => other,
        }
    }

    async fn find(&self, listing: &Listing) -> Result<ListBookmarksResponse, Error> {
        let after: Option<Place> = listing.decode()?;
        let order = listing.order;
        if listing.min_version > 0 {
            let deadline = Instant::now() + MAX_WAIT;
            self.search
                .wait_for(listing.owner, listing.min_version, deadline)
                .await?;
        }
        let page = PageOf {
            order,
            after,
            size: listing.size + 1,
        };
        let found = self.search.find(listing.owner, listing.query.clone(), page).await?;
        let mut saved = self.read(listing, &found.places).await?;

        let mut response = ListBookmarksResponse {
            total_size: i32::try_from(found.total).unwrap_or(i32::MAX),
            ..ListBookmarksResponse::default()
        };
        let mut bytes = 0;
        let mut last = None;
        for place in found.places.iter().take(listing.size) {
            // What was deleted a moment ago is in the index still.
            if let Some(bookmark) = saved.remove(&place.id(order)) {
                let message = proto::Bookmark::from(&bookmark);
                bytes += message.encoded_len();
                if bytes > MAX_PAGE_BYTES && !response.bookmarks.is_empty() {
                    break;
                }
                response
                    .matches
                    .push(reason(&listing.query, &bookmark, place.score(order)));
                response.bookmarks.push(message);
            }
            last = Some(place);
        }
        let has_more = last.is_some() && last != found.places.last();
        response.next_page_token = last
            .filter(|_| has_more)
            .map_or_else(String::new, |last| listing.encode(last));
        Ok(response)
    }

    /// The hits as they are now.
    async fn read(&self, listing: &Listing, places: &[Place]) -> Result<HashMap<Uuid, Bookmark>, Error> {
        let shown = places.iter().take(listing.size);
        let ids: Vec<Uuid> = shown.map(|place| place.id(listing.order)).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let bookmarks = store::get_many(&self.pool, listing.owner, &ids).await?;
        Ok(bookmarks.into_iter().map(|bookmark| (bookmark.id, bookmark)).collect())
    }
}

impl Listing {
    fn parse(owner: Uuid, request: ListBookmarksRequest) -> Result<Listing, Vec<Violation>> {
        let mut violations = Vec::new();
        let query = SearchQuery::parse("query", &request.query).map_err(|violation| violations.push(violation));
        let order = Order::parse("order_by", &request.order_by).map_err(|violation| violations.push(violation));
        let size = page::page_size(request.page_size, DEFAULT_SIZE, MAX_SIZE);
        let size = size.map_err(|violation| violations.push(violation));
        if request.min_version < 0 {
            violations.push(Violation::new("min_version", "must not be negative"));
        }
        let (Ok(query), Ok(order), Ok(size), true) = (query, order, size, violations.is_empty()) else {
            return Err(violations);
        };
        let order_name = order.map_or("", Order::as_str).to_owned();
        Ok(Listing {
            owner,
            query,
            order,
            size: usize::try_from(size).expect("a page size is not negative"),
            fingerprint: [owner.to_string(), request.query.trim().to_owned(), order_name],
            page_token: request.page_token,
            min_version: request.min_version,
        })
    }

    fn decode<C: serde::de::DeserializeOwned>(&self) -> Result<Option<C>, Violation> {
        page::decode(&self.page_token, &self.fingerprint.each_ref().map(String::as_str))
    }

    pub(super) fn encode<C: Serialize>(&self, cursor: &C) -> String {
        page::encode(&self.fingerprint.each_ref().map(String::as_str), cursor)
    }
}

impl CursorToken {
    fn of(bookmark: &Bookmark, order: Order) -> CursorToken {
        CursorToken::from(Cursor::of(bookmark, order))
    }
}

impl From<Cursor> for CursorToken {
    fn from(cursor: Cursor) -> CursorToken {
        let microseconds = cursor.time.unix_timestamp_nanos() / 1_000;
        CursorToken {
            microseconds: i64::try_from(microseconds).expect("moments up to the year 9999 fit"),
            title_key: cursor.title_key,
            id: cursor.id,
        }
    }
}

impl TryFrom<CursorToken> for Cursor {
    type Error = Violation;

    fn try_from(token: CursorToken) -> Result<Cursor, Violation> {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(token.microseconds) * 1_000)
            .map_err(|_| Violation::new("page_token", "must be the token of the page before"))?;
        Ok(Cursor {
            time,
            title_key: token.title_key,
            id: token.id,
        })
    }
}

/// How many of the messages a page takes: at least one.
fn fitting(messages: &[proto::Bookmark], size: usize) -> usize {
    let mut bytes = 0;
    let shown = messages.iter().take(size).take_while(|message| {
        bytes += message.encoded_len();
        bytes <= MAX_PAGE_BYTES
    });
    shown.count().max(1).min(messages.len())
}

pub(super) fn reason(query: &SearchQuery, bookmark: &Bookmark, score: f32) -> Match {
    Match {
        bookmark_id: bookmark.id.to_string(),
        score,
        snippets: snippets(query, bookmark)
            .into_iter()
            .map(proto::Snippet::from)
            .collect(),
    }
}
