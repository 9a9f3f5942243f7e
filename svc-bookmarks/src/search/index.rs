//! The index as it is read. All of this blocks: it is called where that is allowed.

use std::{collections::HashSet, ops::Bound, sync::Arc};

use tantivy::{
    IndexReader, ReloadPolicy, Searcher, TantivyError, Term,
    collector::{Count, DocSetCollector},
    query::{BooleanQuery, Occur, Query, RangeQuery, TermQuery},
    schema::IndexRecordOption,
};
use uuid::Uuid;

use crate::search::{
    Found, PageOf, clauses,
    query::SearchQuery,
    ranking::{Ids, Place, RankOf, Ranking},
    schema::{Fields, VERSION},
};

pub(super) struct Index {
    reader: IndexReader,
    pub(super) fields: Fields,
}

impl Index {
    pub(super) fn new(index: &tantivy::Index, fields: Fields) -> tantivy::Result<Arc<Index>> {
        // Reloaded after each commit: a watching thread would come later and wake for nothing.
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Arc::new(Index { reader, fields }))
    }

    pub(super) fn find(&self, owner: Uuid, query: &SearchQuery, page: PageOf) -> tantivy::Result<Found> {
        if query.finds_nothing() {
            return Ok(Found {
                total: 0,
                places: Vec::new(),
            });
        }
        let searcher = self.reader.searcher();
        let PageOf { order, after, size } = page;
        let query = clauses::build(&self.fields, owner, query);
        let after = match (order, after) {
            (None, Some(place)) => Some(place_now(&searcher, &query, place)?),
            (_, after) => after,
        };
        let ranked = searcher.search(&query, &Ranking { order, after, size })?;
        Ok(Found {
            total: ranked.total,
            places: ranked.places,
        })
    }

    /// Whether a change of the owner, this one or a later one, is in the index. An owner's changes come in order.
    pub(super) fn has_version(&self, owner: Uuid, version: i64) -> tantivy::Result<bool> {
        let schema = self.reader.searcher().schema().clone();
        let field = schema.get_field(VERSION)?;
        let of_owner: Box<dyn Query> =
            Box::new(TermQuery::new(self.fields.writer_term(owner), IndexRecordOption::Basic));
        let from = Bound::Included(Term::from_field_i64(field, version));
        let newer: Box<dyn Query> = Box::new(RangeQuery::new(from, Bound::Unbounded));
        let query = BooleanQuery::new(vec![(Occur::Must, of_owner), (Occur::Must, newer)]);
        Ok(self.reader.searcher().search(&query, &Count)? > 0)
    }

    /// The bookmarks of an owner that can be found.
    pub(super) fn ids_of(&self, owner: Uuid) -> tantivy::Result<HashSet<Uuid>> {
        let searcher = self.reader.searcher();
        let documents = searcher.search(&clauses::everything_of(&self.fields, owner), &DocSetCollector)?;
        let columns: Vec<Ids> = searcher
            .segment_readers()
            .iter()
            .map(Ids::of)
            .collect::<tantivy::Result<_>>()?;
        Ok(documents
            .into_iter()
            .map(|address| columns[address.segment_ord as usize].get(address.doc_id))
            .collect())
    }

    /// The version under which a bookmark was indexed.
    pub(super) fn version_of(&self, searcher: &Searcher, id: Uuid) -> tantivy::Result<Option<i64>> {
        let term = self.fields.key_term(id);
        for segment in searcher.segment_readers() {
            let inverted = segment.inverted_index(term.field())?;
            let Some(mut postings) = inverted.read_postings(&term, IndexRecordOption::Basic)? else {
                continue;
            };
            let mut document = tantivy::DocSet::doc(&postings);
            while document != tantivy::TERMINATED {
                if segment.alive_bitset().is_none_or(|alive| alive.is_alive(document)) {
                    return Ok(segment.fast_fields().i64(VERSION)?.first(document));
                }
                document = tantivy::DocSet::advance(&mut postings);
            }
        }
        Ok(None)
    }

    pub(super) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// Shows what was committed.
    pub(super) fn reload(&self) -> Result<(), TantivyError> {
        self.reader.reload()
    }
}

/// Anybody's change moves all ranks a little. A page goes on behind the bookmark that the last one ended with, wherever
/// that stands now.
fn place_now(searcher: &Searcher, query: &dyn Query, place: Place) -> tantivy::Result<Place> {
    let score = searcher.search(query, &RankOf(place.id(None)))?;
    Ok(match score {
        Some(score) => place.with_score(score),
        None => place,
    })
}
