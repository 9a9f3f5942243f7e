//! Uniting imported links with what is saved already.

use std::collections::HashMap;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{Bookmark, Content, Identity, ImportedLink, limits, united_tags};

const FULL: &str = "collections must be at most 100, and 524288 bytes in all: not added to another";

/// A batch of imported links on its way into what an owner has saved.
pub struct MergeBatch {
    works: Vec<Work>,
    by_identity: HashMap<Identity, usize>,
    version: i64,
    now: OffsetDateTime,
}

/// A bookmark that the batch touches.
struct Work {
    bookmark: Bookmark,
    is_new: bool,
    is_changed: bool,
}

/// What became of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Created(Uuid),
    /// With what could not be united.
    Merged(Uuid, &'static str),
    Unchanged(Uuid, &'static str),
}

impl MergeBatch {
    /// `saved` is what the owner has under the identities of the links.
    pub fn new(saved: Vec<Bookmark>, version: i64, now: OffsetDateTime) -> MergeBatch {
        let works: Vec<Work> = saved
            .into_iter()
            .map(|bookmark| Work {
                bookmark,
                is_new: false,
                is_changed: false,
            })
            .collect();
        let by_identity = works
            .iter()
            .enumerate()
            .map(|(index, work)| (work.bookmark.content.url.identity(), index))
            .collect();
        MergeBatch {
            works,
            by_identity,
            version,
            now,
        }
    }

    /// Takes one link in; `new_id` names it if it is new.
    pub fn add(&mut self, link: ImportedLink, new_id: Uuid) -> Outcome {
        let identity = link.content.url.identity();
        if let Some(index) = self.by_identity.get(&identity) {
            return self.works[*index].merge(link, self.version, self.now);
        }
        let create_time = link.create_time.unwrap_or(self.now);
        let bookmark = Bookmark::new(new_id, link.content, create_time, self.now, self.version);
        self.by_identity.insert(identity, self.works.len());
        self.works.push(Work {
            bookmark,
            is_new: true,
            is_changed: false,
        });
        Outcome::Created(new_id)
    }

    /// The new bookmarks and the changed ones.
    pub fn into_parts(self) -> (Vec<Bookmark>, Vec<Bookmark>) {
        let (new, saved): (Vec<Work>, Vec<Work>) = self.works.into_iter().partition(|work| work.is_new);
        let changed = saved.into_iter().filter(|work| work.is_changed);
        (
            new.into_iter().map(|work| work.bookmark).collect(),
            changed.map(|work| work.bookmark).collect(),
        )
    }
}

impl Work {
    fn merge(&mut self, link: ImportedLink, version: i64, now: OffsetDateTime) -> Outcome {
        let (content, left_out) = united(&self.bookmark.content, link.content);
        let create_time = link
            .create_time
            .map_or(self.bookmark.create_time, |time| time.min(self.bookmark.create_time));
        let id = self.bookmark.id;
        if content == self.bookmark.content && create_time == self.bookmark.create_time {
            return Outcome::Unchanged(id, left_out);
        }
        self.bookmark = Bookmark::new(id, content, create_time, now, version);
        self.is_changed = true;
        Outcome::Merged(id, left_out)
    }
}

/// Tags and collections of both; the texts that were there, or else the new ones. What the owner has read stays read,
/// and what either calls private is private.
fn united(saved: &Content, link: Content) -> (Content, &'static str) {
    let mut content = saved.clone();
    if content.title.is_empty() {
        content.title = link.title;
    }
    if content.description.is_empty() {
        content.description = link.description;
    }
    content.tags = united_tags(content.tags.into_iter().chain(link.tags));
    content.tags.truncate(limits::TAGS);
    content.private |= link.private;
    let mut left_out = "";
    for path in link.collections {
        if content.collections.contains(&path) {
            continue;
        }
        let fits = content.bytes() + path.bytes() <= limits::BOOKMARK_BYTES;
        if fits && content.collections.len() < limits::COLLECTIONS {
            content.collections.push(path);
        } else {
            left_out = FULL;
        }
    }
    (content, left_out)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn link(url: &str, tags: &[&str], folders: &[&str], create_time: Option<OffsetDateTime>) -> ImportedLink {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let link = ImportedLink::parse(url, "Title", "", &owned(tags), &owned(folders)).unwrap();
        ImportedLink { create_time, ..link }
    }

    #[test]
    fn a_second_saving_unites_tags_and_folders_and_keeps_the_earliest_date() {
        let mut batch = MergeBatch::new(Vec::new(), 7, NOW);
        let id = Uuid::from_u128(1);
        let early = datetime!(2001-01-01 0:00 UTC);

        let first = batch.add(link("https://a.example/", &["x"], &["A"], None), id);
        let second = batch.add(
            link("https://a.example/#top", &["X", "y"], &["B"], Some(early)),
            Uuid::from_u128(2),
        );
        let third = batch.add(link("https://a.example/", &["y"], &["A"], None), Uuid::from_u128(3));

        assert_eq!(
            [first, second, third],
            [
                Outcome::Created(id),
                Outcome::Merged(id, ""),
                Outcome::Unchanged(id, "")
            ]
        );
        let (new, changed) = batch.into_parts();
        assert!(changed.is_empty());
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].create_time, early);
        assert_eq!(
            new[0].content.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(),
            ["x", "y"]
        );
        assert_eq!(new[0].content.collections.len(), 2);
    }

    #[test]
    fn what_is_saved_just_so_stays_untouched() {
        let mut first = MergeBatch::new(Vec::new(), 1, NOW);
        first.add(link("https://a.example/", &["x"], &["A"], None), Uuid::from_u128(1));
        let (saved, _) = first.into_parts();

        let mut second = MergeBatch::new(saved, 2, NOW);
        let outcome = second.add(
            link("https://a.example/", &["x"], &["A"], Some(NOW)),
            Uuid::from_u128(2),
        );

        assert_eq!(outcome, Outcome::Unchanged(Uuid::from_u128(1), ""));
        let (new, changed) = second.into_parts();
        assert!(new.is_empty() && changed.is_empty());
    }

    #[test]
    fn a_folder_too_many_is_left_out_and_said() {
        let mut batch = MergeBatch::new(Vec::new(), 1, NOW);
        for folder in 0..100 {
            batch.add(
                link("https://a.example/", &[], &[&format!("{folder}")], None),
                Uuid::from_u128(1),
            );
        }

        let outcome = batch.add(link("https://a.example/", &[], &["one more"], None), Uuid::from_u128(1));

        assert_eq!(outcome, Outcome::Unchanged(Uuid::from_u128(1), FULL));
    }
}
