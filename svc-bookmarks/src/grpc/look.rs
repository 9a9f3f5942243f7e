//! Searching while the index cannot: a look through the list, page by page, for what meets the query.

use bookmesh_proto::bookmarks::v1::{self as proto, ListBookmarksResponse};
use prost::Message;

use super::list::{CursorToken, Listing, MAX_PAGE_BYTES, reason};
use crate::{
    domain::{Bookmark, Order},
    error::Error,
    grpc::Bookmarks,
    search::{SearchQuery, meets},
    store::{self, Cursor},
};

/// As much as Postgres reads in some milliseconds; were all of them as long as may be, 50 MB.
const AT_ONCE: usize = 100;
/// How many bookmarks one call looks at, so that it ends in time whatever is asked.
const MOST_LOOKED_AT: usize = 5_000;
/// How long these may be together, some 3 KiB each.
const MOST_BYTES_LOOKED_AT: usize = 16 * 1024 * 1024;

impl Bookmarks {
    /// The answer says that it is degraded: in the list's order, without ranks, and uncounted.
    pub(super) async fn look(
        &self,
        listing: &Listing,
        mut after: Option<Cursor>,
    ) -> Result<ListBookmarksResponse, Error> {
        self.search.without_index.inc();
        let order = listing.order.unwrap_or(Order::NewestFirst);
        let mut page = Page::new(listing.size);
        let (mut looked_at, mut bytes_looked_at) = (0, 0);
        let mut is_end = false;
        while !page.is_full && !is_end && looked_at < MOST_LOOKED_AT && bytes_looked_at < MOST_BYTES_LOOKED_AT {
            let size = i64::try_from(AT_ONCE).expect("it is small");
            let bookmarks = store::list(&self.pool, listing.owner, order, after.as_ref(), size).await?;
            looked_at += bookmarks.len();
            bytes_looked_at += bookmarks.iter().map(|bookmark| bookmark.content.bytes()).sum::<usize>();
            is_end = bookmarks.len() < AT_ONCE;
            for (bookmark, is_met) in judged(&listing.query, bookmarks).await? {
                if is_met && !page.takes(listing, &bookmark) {
                    break;
                }
                after = Some(Cursor::of(&bookmark, order));
            }
        }
        let next = after.filter(|_| page.is_full || !is_end);
        page.response.next_page_token =
            next.map_or_else(String::new, |after| listing.encode(&CursorToken::from(after)));
        Ok(page.response)
    }
}

/// Words are looked for where nothing else waits.
async fn judged(query: &SearchQuery, bookmarks: Vec<Bookmark>) -> Result<Vec<(Bookmark, bool)>, Error> {
    let query = query.clone();
    let judge = move || {
        let judged = bookmarks.into_iter().map(|bookmark| {
            let is_met = meets(&query, &bookmark);
            (bookmark, is_met)
        });
        judged.collect()
    };
    let judged = tokio::task::spawn_blocking(judge).await;
    judged.map_err(|error| Error::Internal(error.into()))
}

struct Page {
    response: ListBookmarksResponse,
    size: usize,
    bytes: usize,
    is_full: bool,
}

impl Page {
    fn new(size: usize) -> Page {
        let response = ListBookmarksResponse {
            degraded: true,
            ..ListBookmarksResponse::default()
        };
        Page {
            response,
            size,
            bytes: 0,
            is_full: false,
        }
    }

    /// False when there is no room for it, which only the next page has.
    fn takes(&mut self, listing: &Listing, bookmark: &Bookmark) -> bool {
        let message = proto::Bookmark::from(bookmark);
        self.bytes += message.encoded_len();
        let taken = &mut self.response.bookmarks;
        if taken.len() == self.size || (self.bytes > MAX_PAGE_BYTES && !taken.is_empty()) {
            self.is_full = true;
            return false;
        }
        taken.push(message);
        self.response.matches.push(reason(&listing.query, bookmark, 0.0));
        true
    }
}
