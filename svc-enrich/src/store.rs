//! All SQL of proposals.

use sqlx::{PgConnection, PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::extract::ProposedTag;

/// What is proposed for a bookmark.
#[derive(Debug, Clone)]
pub(crate) struct Enrichment {
    pub bookmark_id: Uuid,
    pub bookmark_version: i64,
    pub tags: Vec<ProposedTag>,
    pub summary: String,
    pub created_at: OffsetDateTime,
}

/// A bookmark that is no more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deletion {
    pub bookmark_id: Uuid,
    pub version: i64,
}

pub(crate) async fn find(pool: &PgPool, owner: Uuid, bookmark_id: Uuid) -> sqlx::Result<Option<Enrichment>> {
    let row = sqlx::query!(
        r#"SELECT bookmark_version AS "bookmark_version!", tags AS "tags!: Json<Vec<ProposedTag>>",
                  summary AS "summary!", created_at AS "created_at!"
           FROM enrichment_of($1, $2)"#,
        owner,
        bookmark_id
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Enrichment {
        bookmark_id,
        bookmark_version: row.bookmark_version,
        tags: row.tags.0,
        summary: row.summary,
        created_at: row.created_at,
    }))
}

/// Keeps what is newer than what there is, unless the bookmark has been deleted. Answers which were kept. A bookmark may be
/// there only once.
pub(crate) async fn save(
    connection: &mut PgConnection,
    owner: Uuid,
    enrichments: &[Enrichment],
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = enrichments.iter().map(|enrichment| enrichment.bookmark_id).collect();
    let versions: Vec<i64> = enrichments
        .iter()
        .map(|enrichment| enrichment.bookmark_version)
        .collect();
    let tags: Vec<Json<&[ProposedTag]>> = enrichments
        .iter()
        .map(|enrichment| Json(enrichment.tags.as_slice()))
        .collect();
    let summaries: Vec<&str> = enrichments
        .iter()
        .map(|enrichment| enrichment.summary.as_str())
        .collect();
    sqlx::query_scalar!(
        "INSERT INTO enrichments (owner_id, bookmark_id, bookmark_version, tags, summary, created_at)
         SELECT $1, made.bookmark_id, made.bookmark_version, made.tags, made.summary, $6
         FROM UNNEST($2::uuid[], $3::bigint[], $4::jsonb[], $5::text[])
             AS made (bookmark_id, bookmark_version, tags, summary)
         ON CONFLICT (owner_id, bookmark_id) DO UPDATE
         SET bookmark_version = EXCLUDED.bookmark_version, tags = EXCLUDED.tags, summary = EXCLUDED.summary,
             created_at = EXCLUDED.created_at
         WHERE NOT enrichments.deleted AND enrichments.bookmark_version < EXCLUDED.bookmark_version
         RETURNING bookmark_id",
        owner,
        &ids,
        &versions,
        tags as _,
        &summaries as _,
        now
    )
    .fetch_all(connection)
    .await
}

/// Leaves a mark for each, also where nothing had been proposed yet: the event of its creation may be still to come.
pub(crate) async fn forget(
    connection: &mut PgConnection,
    owner: Uuid,
    deletions: &[Deletion],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = deletions.iter().map(|deletion| deletion.bookmark_id).collect();
    let versions: Vec<i64> = deletions.iter().map(|deletion| deletion.version).collect();
    sqlx::query!(
        "INSERT INTO enrichments (owner_id, bookmark_id, bookmark_version, deleted, created_at)
         SELECT $1, gone.bookmark_id, max(gone.version), true, $4
         FROM UNNEST($2::uuid[], $3::bigint[]) AS gone (bookmark_id, version)
         GROUP BY gone.bookmark_id
         ON CONFLICT (owner_id, bookmark_id) DO UPDATE
         SET bookmark_version = EXCLUDED.bookmark_version, deleted = true, tags = '[]', summary = ''",
        owner,
        &ids,
        &versions,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes all proposals for the owner; answers how many there were.
pub(crate) async fn erase(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<u64> {
    let erased = sqlx::query!("DELETE FROM enrichments WHERE owner_id = $1", owner)
        .execute(connection)
        .await?;
    Ok(erased.rows_affected())
}
