//! Reading bookmarks.

use sqlx::{Connection, PgConnection, PgPool, types::Json};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::domain::{Bookmark, CollectionPath, Content, Identity, Order, SavedUrl, Tag};

/// Behind all moments that a bookmark can have.
const END_OF_TIME: OffsetDateTime = datetime!(9999-12-31 23:59:59.999_999 UTC);
const BEGINNING_OF_TIME: OffsetDateTime = datetime!(0001-01-01 00:00 UTC);

/// The place in a list behind which the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub time: OffsetDateTime,
    pub title_key: String,
    pub id: Uuid,
}

/// A row of the view `bookmark_details`.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) identity: Vec<u8>,
    pub(super) url: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) note: String,
    pub(super) tags: Vec<String>,
    pub(super) collections: Json<Vec<Vec<String>>>,
    pub(super) to_read: bool,
    pub(super) private: bool,
    pub(super) create_time: OffsetDateTime,
    pub(super) update_time: OffsetDateTime,
    pub(super) version: i64,
}

/// The columns of a view may all be null as far as Postgres knows, so each is declared; once.
macro_rules! bookmarks {
    ($from:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::store::reads::Row,
            r#"SELECT id AS "id!", identity AS "identity!", url AS "url!", title AS "title!",
                   description AS "description!", note AS "note!", tags AS "tags!",
                   collections AS "collections!: sqlx::types::Json<Vec<Vec<String>>>",
                   to_read AS "to_read!", private AS "private!", create_time AS "create_time!",
                   update_time AS "update_time!", version AS "version!" "# + $from
            $(, $argument)*
        )
    };
}
pub(super) use bookmarks;

/// Whether the database answers.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    pool.acquire().await?.ping().await
}

pub async fn get(pool: &PgPool, owner: Uuid, id: Uuid) -> anyhow::Result<Option<Bookmark>> {
    let row = bookmarks!("FROM get_bookmarks($1, $2)", owner, &[id][..])
        .fetch_optional(pool)
        .await?;
    row.map(Row::into_bookmark).transpose()
}

/// Those of the ids that exist, in no order.
pub async fn get_many(pool: &PgPool, owner: Uuid, ids: &[Uuid]) -> anyhow::Result<Vec<Bookmark>> {
    let rows = bookmarks!("FROM get_bookmarks($1, $2)", owner, ids)
        .fetch_all(pool)
        .await?;
    into_bookmarks(rows)
}

/// A page behind the cursor.
pub async fn list(
    pool: &PgPool,
    owner: Uuid,
    order: Order,
    after: Option<&Cursor>,
    size: i64,
) -> anyhow::Result<Vec<Bookmark>> {
    let first = Cursor::before_everything(order);
    let after = after.unwrap_or(&first);
    let rows = bookmarks!(
        "FROM list_bookmarks($1, $2, $3, $4, $5, $6)",
        owner,
        order.as_str(),
        after.time,
        after.title_key,
        after.id,
        size
    );
    into_bookmarks(rows.fetch_all(pool).await?)
}

pub async fn count(pool: &PgPool, owner: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count_of_bookmarks($1) AS "count!""#, owner)
        .fetch_one(pool)
        .await
}

/// The caller holds the lock of the owner, so that nobody else changes the bookmark.
pub async fn find_for_update(connection: &mut PgConnection, owner: Uuid, id: Uuid) -> anyhow::Result<Option<Bookmark>> {
    let row = bookmarks!("FROM bookmark_details WHERE owner_id = $1 AND id = $2", owner, id);
    row.fetch_optional(connection)
        .await?
        .map(Row::into_bookmark)
        .transpose()
}

/// What the owner has under any of the identities.
pub async fn find_by_identities(
    connection: &mut PgConnection,
    owner: Uuid,
    identities: &[Identity],
) -> anyhow::Result<Vec<Bookmark>> {
    let identities: Vec<Vec<u8>> = identities.iter().map(|identity| identity.as_bytes().to_vec()).collect();
    let rows = bookmarks!(
        "FROM bookmark_details WHERE owner_id = $1 AND identity = ANY ($2)",
        owner,
        &identities[..]
    );
    into_bookmarks(rows.fetch_all(connection).await?)
}

impl Cursor {
    pub fn of(bookmark: &Bookmark, order: Order) -> Cursor {
        let time = match order {
            Order::LastChangedFirst => bookmark.update_time,
            Order::NewestFirst | Order::OldestFirst | Order::Title => bookmark.create_time,
        };
        Cursor {
            time,
            title_key: bookmark.content.title_key(),
            id: bookmark.id,
        }
    }

    fn before_everything(order: Order) -> Cursor {
        let (time, id) = match order {
            Order::NewestFirst | Order::LastChangedFirst => (END_OF_TIME, Uuid::max()),
            Order::OldestFirst | Order::Title => (BEGINNING_OF_TIME, Uuid::nil()),
        };
        Cursor {
            time,
            title_key: String::new(),
            id,
        }
    }
}

impl Row {
    fn into_bookmark(self) -> anyhow::Result<Bookmark> {
        let content = Content {
            url: SavedUrl::from_record(self.url, &self.identity)?,
            title: self.title,
            description: self.description,
            note: self.note,
            tags: self.tags.into_iter().map(Tag::from_record).collect(),
            collections: self
                .collections
                .0
                .into_iter()
                .map(CollectionPath::from_record)
                .collect(),
            to_read: self.to_read,
            private: self.private,
        };
        Ok(Bookmark {
            id: self.id,
            content,
            create_time: self.create_time,
            update_time: self.update_time,
            version: self.version,
        })
    }
}

pub(super) fn into_bookmarks(rows: Vec<Row>) -> anyhow::Result<Vec<Bookmark>> {
    rows.into_iter().map(Row::into_bookmark).collect()
}
