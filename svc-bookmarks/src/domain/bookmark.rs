//! A bookmark: what its owner can change, and what came of it.

use std::borrow::Cow;

use service::status::Violation;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{CollectionPath, SavedUrl, Tag, fold, limits};

/// How much of a title takes part in sorting.
const TITLE_KEY_BYTES: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    pub id: Uuid,
    pub content: Content,
    pub create_time: OffsetDateTime,
    pub update_time: OffsetDateTime,
    /// The owner's change number of the last change.
    pub version: i64,
}

/// What the owner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub url: SavedUrl,
    pub title: String,
    pub description: String,
    pub note: String,
    pub tags: Vec<Tag>,
    pub collections: Vec<CollectionPath>,
    pub to_read: bool,
    pub private: bool,
}

/// A link of an import, made to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedLink {
    pub content: Content,
    pub create_time: Option<OffsetDateTime>,
}

impl Bookmark {
    /// A new bookmark. Postgres keeps microseconds, so nothing finer is promised.
    pub fn new(id: Uuid, content: Content, create_time: OffsetDateTime, now: OffsetDateTime, version: i64) -> Bookmark {
        let create_time = to_microseconds(create_time);
        Bookmark {
            id,
            content,
            create_time,
            update_time: to_microseconds(now),
            version,
        }
    }

    /// The same bookmark with other content.
    pub fn changed(self, content: Content, now: OffsetDateTime, version: i64) -> Bookmark {
        Bookmark {
            content,
            update_time: to_microseconds(now),
            version,
            ..self
        }
    }

    pub fn etag(&self) -> String {
        format!("{:x}", self.version)
    }
}

impl Content {
    /// The rule about all parts together; each part has been checked by itself.
    pub fn too_large(&self, field: &str) -> Option<Violation> {
        let bytes = self.bytes();
        (bytes > limits::BOOKMARK_BYTES).then(|| {
            Violation::new(
                field,
                format!("must be at most {} bytes in all, is {bytes}", limits::BOOKMARK_BYTES),
            )
        })
    }

    pub fn bytes(&self) -> usize {
        let texts = [self.url.as_str(), &self.title, &self.description, &self.note];
        let tags: usize = self.tags.iter().map(|tag| tag.as_str().len()).sum();
        let collections: usize = self.collections.iter().map(CollectionPath::bytes).sum();
        texts.iter().map(|text| text.len()).sum::<usize>() + tags + collections
    }

    /// What titles sort by.
    pub fn title_key(&self) -> String {
        let folded = fold(self.title.trim());
        cut(&folded, TITLE_KEY_BYTES).to_owned()
    }
}

impl ImportedLink {
    /// Only a URL that cannot be saved is refused.
    pub fn parse(
        url: &str,
        title: &str,
        description: &str,
        tags: &[String],
        folders: &[String],
    ) -> Result<ImportedLink, Violation> {
        let tags = tags.iter().filter_map(|text| Tag::imported(text));
        let mut tags = super::united_tags(tags);
        tags.truncate(limits::TAGS);
        let content = Content {
            url: SavedUrl::parse("url", &without_nul(url))?,
            title: cut(&without_nul(title), limits::TITLE_BYTES).to_owned(),
            description: cut(&without_nul(description), limits::DESCRIPTION_BYTES).to_owned(),
            note: String::new(),
            tags,
            collections: CollectionPath::imported(folders).into_iter().collect(),
            to_read: false,
            private: false,
        };
        Ok(ImportedLink {
            content,
            create_time: None,
        })
    }
}

/// Whether two lists name different sets of collections.
pub fn collections_differ(one: &[CollectionPath], other: &[CollectionPath]) -> bool {
    let mut one: Vec<&CollectionPath> = one.iter().collect();
    let mut other: Vec<&CollectionPath> = other.iter().collect();
    one.sort();
    other.sort();
    one != other
}

/// The longest beginning of `text` that is at most `max_bytes` long and ends between two characters.
pub fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

pub fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', ""))
    } else {
        Cow::Borrowed(text)
    }
}

fn to_microseconds(moment: OffsetDateTime) -> OffsetDateTime {
    let nanosecond = moment.nanosecond() / 1_000 * 1_000;
    moment.replace_nanosecond(nanosecond).expect("it is less than before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imported_texts_are_cut_between_characters_and_lose_nul() {
        let title = format!("a\0{}", "ä".repeat(600));

        let link = ImportedLink::parse("https://example.com/", &title, "", &[], &[]).unwrap();

        assert_eq!(link.content.title.len(), 1023);
        assert!(link.content.title.starts_with("aä"));
    }

    #[test]
    fn titles_sort_without_case_and_accents() {
        let link = ImportedLink::parse("https://example.com/", " Été ", "", &[], &[]).unwrap();

        assert_eq!(link.content.title_key(), "ete");
    }
}
