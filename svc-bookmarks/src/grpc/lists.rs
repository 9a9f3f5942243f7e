//! ListTags and ListCollections.

use bookmesh_proto::bookmarks::v1::{
    Collection, ListCollectionsRequest, ListCollectionsResponse, ListTagsRequest, ListTagsResponse, Tag,
};
use service::{page, postgres};
use uuid::Uuid;

use crate::{error::Error, grpc::Bookmarks, store};

const DEFAULT_SIZE: i64 = 100;
const MAX_SIZE: i64 = 1_000;

impl Bookmarks {
    pub(super) async fn tags(&self, owner: Uuid, request: &ListTagsRequest) -> Result<ListTagsResponse, Error> {
        let size = page::page_size(request.page_size, DEFAULT_SIZE, MAX_SIZE)?;
        let query = ["tags".to_owned(), owner.to_string()];
        let query = query.each_ref().map(String::as_str);
        let after: Option<(i64, String)> = page::decode(&request.page_token, &query)?;
        let (after_count, after_key) = after.unwrap_or((i64::MAX, String::new()));

        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let mut rows = store::list_tags(&mut transaction, owner, after_count, &after_key, size + 1).await?;
        transaction.commit().await?;

        let has_more = truncate(&mut rows, size);
        let last = rows.last().filter(|_| has_more);
        let next_page_token =
            last.map_or_else(String::new, |row| page::encode(&query, &(row.bookmark_count, &row.key)));
        let tags = rows.into_iter().map(|row| Tag {
            name: row.name,
            bookmark_count: count(row.bookmark_count),
        });
        Ok(ListTagsResponse {
            tags: tags.collect(),
            next_page_token,
        })
    }

    pub(super) async fn collections(
        &self,
        owner: Uuid,
        request: &ListCollectionsRequest,
    ) -> Result<ListCollectionsResponse, Error> {
        let size = page::page_size(request.page_size, DEFAULT_SIZE, MAX_SIZE)?;
        let query = ["collections".to_owned(), owner.to_string()];
        let query = query.each_ref().map(String::as_str);
        let after: Option<Uuid> = page::decode(&request.page_token, &query)?;

        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let mut rows = store::list_collections(&mut transaction, owner, after, size + 1).await?;
        transaction.commit().await?;

        let has_more = truncate(&mut rows, size);
        let last = rows.last().filter(|_| has_more);
        let next_page_token = last.map_or_else(String::new, |row| page::encode(&query, &row.id));
        let collections = rows.into_iter().map(|row| Collection {
            id: row.id.to_string(),
            path: row.path,
            bookmark_count: count(row.bookmark_count),
        });
        Ok(ListCollectionsResponse {
            collections: collections.collect(),
            next_page_token,
        })
    }
}

/// One row more than a page was asked for: whether there is another page.
fn truncate<T>(rows: &mut Vec<T>, size: i64) -> bool {
    let size = usize::try_from(size).expect("a page size is not negative");
    let has_more = rows.len() > size;
    rows.truncate(size);
    has_more
}

fn count(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
