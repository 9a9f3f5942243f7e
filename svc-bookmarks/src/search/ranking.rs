//! The order of hits, pages of it, and their count, in one pass over what was found.

use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};
use tantivy::{
    DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::{Column, StrColumn, TermOrdHit},
};
use uuid::Uuid;

use crate::{
    domain::Order,
    search::schema::{CREATE_TIME, ID_HIGH, ID_LOW, TITLE_KEY, UPDATE_TIME},
};

/// What a hit sorts by: the smaller, the earlier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SortKey {
    Number(u64),
    Text(String),
}

/// A place between hits, as a page ends with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub key: SortKey,
    /// Ties are in the order of ids, or against it when the latest come first.
    tie: u128,
}

impl Place {
    pub fn id(&self, order: Option<Order>) -> Uuid {
        Uuid::from_u128(if is_latest_first(order) { !self.tie } else { self.tie })
    }

    /// The rank, when ranks were asked for.
    pub fn score(&self, order: Option<Order>) -> f32 {
        match (&self.key, order) {
            (SortKey::Number(number), None) => score(*number),
            _ => 0.0,
        }
    }

    /// The place of the same hit at another rank.
    pub(super) fn with_score(self, score: f32) -> Place {
        Place {
            key: SortKey::Number(number(score)),
            ..self
        }
    }
}

/// A page of hits and the count of all.
pub(super) struct Ranking {
    /// None is by relevance.
    pub(super) order: Option<Order>,
    pub(super) after: Option<Place>,
    pub(super) size: usize,
}

#[derive(Debug, Default)]
pub(super) struct Ranked {
    pub(super) total: usize,
    pub(super) places: Vec<Place>,
}

pub(super) struct SegmentRanking {
    source: Source,
    ids: Ids,
    is_latest_first: bool,
    after: Option<(u64, u128)>,
    size: usize,
    total: usize,
    /// The best so far, the worst of them on top.
    best: BinaryHeap<(u64, u128)>,
}

/// Where a segment has its sort keys. In a segment, titles are compared by their ordinals.
enum Source {
    Score,
    Time { column: Column<i64>, is_latest_first: bool },
    Title(Option<StrColumn>),
}

/// The ids of a segment's bookmarks.
pub(super) struct Ids {
    high: Column<u64>,
    low: Column<u64>,
}

impl Ids {
    pub(super) fn of(segment: &SegmentReader) -> tantivy::Result<Ids> {
        let columns = segment.fast_fields();
        Ok(Ids {
            high: columns.u64(ID_HIGH)?,
            low: columns.u64(ID_LOW)?,
        })
    }

    pub(super) fn get(&self, document: DocId) -> Uuid {
        Uuid::from_u64_pair(
            self.high.first(document).unwrap_or_default(),
            self.low.first(document).unwrap_or_default(),
        )
    }
}

impl Collector for Ranking {
    type Fruit = Ranked;
    type Child = SegmentRanking;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentRanking> {
        let source = Source::open(self.order, segment)?;
        let after = match &self.after {
            Some(place) => source.bound(place)?,
            None => None,
        };
        Ok(SegmentRanking {
            source,
            ids: Ids::of(segment)?,
            is_latest_first: is_latest_first(self.order),
            after,
            size: self.size,
            total: 0,
            best: BinaryHeap::with_capacity(self.size + 1),
        })
    }

    fn requires_scoring(&self) -> bool {
        self.order.is_none()
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<Ranked>>) -> tantivy::Result<Ranked> {
        let mut ranked = Ranked::default();
        for segment in segments {
            let segment = segment?;
            ranked.total += segment.total;
            ranked.places.extend(segment.places);
        }
        ranked.places.sort();
        ranked.places.truncate(self.size);
        Ok(ranked)
    }
}

impl SegmentCollector for SegmentRanking {
    type Fruit = tantivy::Result<Ranked>;

    fn collect(&mut self, document: DocId, score: Score) {
        self.total += 1;
        let id = self.ids.get(document).as_u128();
        let place = (
            self.source.key(document, score),
            if self.is_latest_first { !id } else { id },
        );
        if self.after.is_some_and(|after| place <= after) {
            return;
        }
        if self.best.len() < self.size {
            self.best.push(place);
        } else if self.best.peek().is_some_and(|worst| place < *worst) {
            self.best.pop();
            self.best.push(place);
        }
    }

    fn harvest(self) -> tantivy::Result<Ranked> {
        let mut places = Vec::with_capacity(self.best.len());
        for (key, tie) in self.best {
            places.push(Place {
                key: self.source.sort_key(key)?,
                tie,
            });
        }
        Ok(Ranked {
            total: self.total,
            places,
        })
    }
}

impl Source {
    fn open(order: Option<Order>, segment: &SegmentReader) -> tantivy::Result<Source> {
        let columns = segment.fast_fields();
        let time = |name: &str, is_latest_first: bool| -> tantivy::Result<Source> {
            Ok(Source::Time {
                column: columns.i64(name)?,
                is_latest_first,
            })
        };
        match order {
            None => Ok(Source::Score),
            Some(Order::NewestFirst) => time(CREATE_TIME, true),
            Some(Order::OldestFirst) => time(CREATE_TIME, false),
            Some(Order::LastChangedFirst) => time(UPDATE_TIME, true),
            Some(Order::Title) => Ok(Source::Title(columns.str(TITLE_KEY)?)),
        }
    }

    fn key(&self, document: DocId, score: Score) -> u64 {
        match self {
            Source::Score => number(score),
            Source::Time {
                column,
                is_latest_first,
            } => {
                let time = tantivy::i64_to_u64(column.first(document).unwrap_or_default());
                if *is_latest_first { !time } else { time }
            }
            Source::Title(column) => column
                .as_ref()
                .and_then(|column| column.ords().first(document))
                .unwrap_or_default(),
        }
    }

    fn sort_key(&self, key: u64) -> tantivy::Result<SortKey> {
        let Source::Title(column) = self else {
            return Ok(SortKey::Number(key));
        };
        let mut title = String::new();
        if let Some(column) = column {
            column.ord_to_str(key, &mut title)?;
        }
        Ok(SortKey::Text(title))
    }

    /// The last place of this segment that is not behind `place`.
    fn bound(&self, place: &Place) -> tantivy::Result<Option<(u64, u128)>> {
        let title = match (&place.key, self) {
            (SortKey::Number(number), _) => return Ok(Some((*number, place.tie))),
            (SortKey::Text(title), Source::Title(Some(_))) => title,
            (SortKey::Text(_), _) => return Ok(None),
        };
        let Source::Title(Some(column)) = self else {
            return Ok(None);
        };
        Ok(match column.dictionary().term_ord_or_next(title.as_bytes())? {
            TermOrdHit::Exact(ordinal) => Some((ordinal, place.tie)),
            TermOrdHit::Next(0) => None,
            TermOrdHit::Next(ordinal) => Some((ordinal - 1, u128::MAX)),
        })
    }
}

/// Finds the rank that one bookmark has now.
pub(super) struct RankOf(pub(super) Uuid);

pub(super) struct SegmentRankOf {
    id: Uuid,
    ids: Ids,
    score: Option<Score>,
}

impl Collector for RankOf {
    type Fruit = Option<Score>;
    type Child = SegmentRankOf;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentRankOf> {
        Ok(SegmentRankOf {
            id: self.0,
            ids: Ids::of(segment)?,
            score: None,
        })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, segments: Vec<Option<Score>>) -> tantivy::Result<Option<Score>> {
        Ok(segments.into_iter().flatten().next())
    }
}

impl SegmentCollector for SegmentRankOf {
    type Fruit = Option<Score>;

    fn collect(&mut self, document: DocId, score: Score) {
        if self.ids.get(document) == self.id {
            self.score = Some(score);
        }
    }

    fn harvest(self) -> Option<Score> {
        self.score
    }
}

fn is_latest_first(order: Option<Order>) -> bool {
    match order {
        None | Some(Order::NewestFirst | Order::LastChangedFirst) => true,
        Some(Order::OldestFirst | Order::Title) => false,
    }
}

/// The bits of floats that are not negative are in the order of the floats; higher ranks come first.
fn number(score: Score) -> u64 {
    u64::from(!score.max(0.0).to_bits())
}

fn score(number: u64) -> Score {
    u32::try_from(number).map_or(0.0, |bits| Score::from_bits(!bits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_higher_rank_comes_earlier(one in 0f32..1e6, other in 0f32..1e6) {
            prop_assert_eq!(number(one) < number(other), one > other);
            prop_assert_eq!(score(number(one)), one);
        }
    }
}
