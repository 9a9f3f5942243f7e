//! Collections by their paths: found, or made with all that is around them.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Bookmark, CollectionPath};

/// The ids of the collections that some bookmarks are in.
#[derive(Debug, Default)]
pub struct CollectionIds(HashMap<CollectionPath, Uuid>);

impl CollectionIds {
    pub(super) fn of<'a>(&'a self, paths: &'a [CollectionPath]) -> impl Iterator<Item = Uuid> + 'a {
        paths.iter().filter_map(|path| self.0.get(path).copied())
    }
}

/// The collections of the bookmarks; those that are missing are made. The caller holds the lock of the owner.
pub async fn ensure_collections(
    connection: &mut PgConnection,
    owner: Uuid,
    bookmarks: impl IntoIterator<Item = &Bookmark>,
    new_id: fn() -> Uuid,
) -> sqlx::Result<CollectionIds> {
    let paths = bookmarks.into_iter().flat_map(|bookmark| &bookmark.content.collections);
    let mut paths: Vec<CollectionPath> = paths.flat_map(CollectionPath::with_ancestors).collect();
    paths.sort();
    paths.dedup();
    if paths.is_empty() {
        return Ok(CollectionIds::default());
    }
    let mut by_key: HashMap<Vec<u8>, CollectionPath> = paths.into_iter().map(|path| (path.key(), path)).collect();
    let keys: Vec<Vec<u8>> = by_key.keys().cloned().collect();
    let mut ids = HashMap::with_capacity(keys.len());
    for (key, id) in find(&mut *connection, owner, &keys).await? {
        if let Some(path) = by_key.remove(&key) {
            ids.insert(path, id);
        }
    }
    let missing: Vec<(Uuid, Vec<u8>, CollectionPath)> =
        by_key.into_iter().map(|(key, path)| (new_id(), key, path)).collect();
    if !missing.is_empty() {
        insert(connection, owner, &missing).await?;
        ids.extend(missing.into_iter().map(|(id, _, path)| (path, id)));
    }
    Ok(CollectionIds(ids))
}

async fn find(connection: &mut PgConnection, owner: Uuid, keys: &[Vec<u8>]) -> sqlx::Result<Vec<(Vec<u8>, Uuid)>> {
    let rows = sqlx::query!(
        "SELECT id, path_key FROM collections WHERE owner_id = $1 AND path_key = ANY ($2)",
        owner,
        keys
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.path_key, row.id)).collect())
}

async fn insert(
    connection: &mut PgConnection,
    owner: Uuid,
    collections: &[(Uuid, Vec<u8>, CollectionPath)],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = collections.iter().map(|(id, _, _)| *id).collect();
    let keys: Vec<Vec<u8>> = collections.iter().map(|(_, key, _)| key.clone()).collect();
    let paths: Vec<Value> = collections
        .iter()
        .map(|(_, _, path)| Value::from(path.names()))
        .collect();
    sqlx::query!(
        "INSERT INTO collections (owner_id, id, path, path_key)
         SELECT $1, id, ARRAY(SELECT jsonb_array_elements_text(path)), path_key
         FROM unnest($2::uuid[], $3::jsonb[], $4::bytea[]) AS new (id, path, path_key)",
        owner,
        &ids,
        &paths,
        &keys
    )
    .execute(connection)
    .await?;
    Ok(())
}
