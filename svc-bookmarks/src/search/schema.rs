//! The fields of the index, and a bookmark as its document. Nothing is stored: hits are read from Postgres.

use std::borrow::Cow;

use tantivy::{
    TantivyDocument, Term,
    schema::{BytesOptions, FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    tokenizer::TextAnalyzer,
};
use url::form_urlencoded;
use uuid::Uuid;

use crate::{
    domain::{Bookmark, fold},
    search::tokenizer::{WORDS, WordTokenizer},
};

/// Part of the folder's name: a new format makes a new index. Raise it when fields, words or folding change.
pub(super) const FORMAT: u32 = 1;

pub(super) const ID_HIGH: &str = "id_high";
pub(super) const ID_LOW: &str = "id_low";
pub(super) const VERSION: &str = "version";
pub(super) const CREATE_TIME: &str = "create_time";
pub(super) const UPDATE_TIME: &str = "update_time";
pub(super) const TITLE_KEY: &str = "title_key";

#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// The bookmark's id: what documents are replaced by.
    key: Field,
    /// The owner, unless deleted. Every query has it.
    owner: Field,
    /// The owner, deleted or not.
    writer: Field,
    /// The words of all fields: what must be found.
    pub(super) text: Field,
    /// The words of some fields again: what lifts the rank.
    pub(super) title: Field,
    pub(super) tags: Field,
    pub(super) site_words: Field,
    /// Exact, folded.
    pub(super) tag: Field,
    pub(super) site: Field,
    pub(super) collection: Field,
    id_high: Field,
    id_low: Field,
    version: Field,
    create_time: Field,
    update_time: Field,
    title_key: Field,
}

impl Fields {
    pub(super) fn new() -> (Schema, Fields) {
        let mut schema = Schema::builder();
        let id = BytesOptions::default().set_indexed();
        let fields = Fields {
            key: schema.add_bytes_field("key", id.clone()),
            owner: schema.add_bytes_field("owner", id.clone()),
            writer: schema.add_bytes_field("writer", id),
            text: schema.add_text_field("text", words(IndexRecordOption::WithFreqsAndPositions)),
            title: schema.add_text_field("title", words(IndexRecordOption::WithFreqsAndPositions)),
            tags: schema.add_text_field("tags", words(IndexRecordOption::WithFreqsAndPositions)),
            site_words: schema.add_text_field("site_words", words(IndexRecordOption::WithFreqsAndPositions)),
            tag: schema.add_text_field("tag", exact()),
            site: schema.add_text_field("site", exact()),
            collection: schema.add_text_field("collection", exact()),
            id_high: schema.add_u64_field(ID_HIGH, FAST),
            id_low: schema.add_u64_field(ID_LOW, FAST),
            version: schema.add_i64_field(VERSION, FAST),
            create_time: schema.add_i64_field(CREATE_TIME, FAST),
            update_time: schema.add_i64_field(UPDATE_TIME, FAST),
            title_key: schema.add_text_field(TITLE_KEY, FAST),
        };
        (schema.build(), fields)
    }

    pub(super) fn analyzer() -> (&'static str, TextAnalyzer) {
        (WORDS, TextAnalyzer::from(WordTokenizer))
    }

    pub(super) fn key_term(&self, id: Uuid) -> Term {
        Term::from_field_bytes(self.key, id.as_bytes())
    }

    pub(super) fn owner_term(&self, owner: Uuid) -> Term {
        Term::from_field_bytes(self.owner, owner.as_bytes())
    }

    pub(super) fn writer_term(&self, owner: Uuid) -> Term {
        Term::from_field_bytes(self.writer, owner.as_bytes())
    }

    pub(super) fn document(&self, owner: Uuid, bookmark: &Bookmark) -> TantivyDocument {
        let mut document = self.tombstone(owner, bookmark.id, bookmark.version);
        document.add_bytes(self.owner, owner.as_bytes());
        document.add_i64(self.create_time, microseconds(bookmark.create_time));
        document.add_i64(self.update_time, microseconds(bookmark.update_time));
        document.add_text(self.title_key, bookmark.content.title_key());
        self.add_texts(&mut document, bookmark);
        self.add_filters(&mut document, bookmark);
        document
    }

    /// What stays of a deleted bookmark, so that an older event that comes late does not bring it back.
    pub(super) fn tombstone(&self, owner: Uuid, id: Uuid, version: i64) -> TantivyDocument {
        let (high, low) = id.as_u64_pair();
        let mut document = TantivyDocument::new();
        document.add_bytes(self.key, id.as_bytes());
        document.add_bytes(self.writer, owner.as_bytes());
        document.add_u64(self.id_high, high);
        document.add_u64(self.id_low, low);
        document.add_i64(self.version, version);
        document
    }

    fn add_texts(&self, document: &mut TantivyDocument, bookmark: &Bookmark) {
        let content = &bookmark.content;
        for text in texts(bookmark) {
            document.add_text(self.text, text);
        }
        document.add_text(self.title, &content.title);
        for tag in &content.tags {
            document.add_text(self.tags, tag.as_str());
        }
    }

    fn add_filters(&self, document: &mut TantivyDocument, bookmark: &Bookmark) {
        for tag in tags(bookmark) {
            document.add_text(self.tag, tag);
        }
        for name in collections(bookmark) {
            document.add_text(self.collection, name);
        }
        if let Some(host) = bookmark.content.url.host() {
            document.add_text(self.site_words, &host);
            for domain in domains(&host) {
                document.add_text(self.site, domain);
            }
        }
    }
}

/// The texts whose words find a bookmark.
pub(super) fn texts(bookmark: &Bookmark) -> Vec<Cow<'_, str>> {
    let content = &bookmark.content;
    let names = content.collections.iter().filter_map(|path| path.names().last());
    let mut texts: Vec<Cow<'_, str>> = vec![
        (&content.title).into(),
        (&content.description).into(),
        (&content.note).into(),
        readable(content.url.as_str()).into(),
    ];
    texts.extend(content.tags.iter().map(|tag| tag.as_str().into()));
    texts.extend(names.map(Cow::from));
    texts
}

/// What `tag:` compares with.
pub(super) fn tags(bookmark: &Bookmark) -> impl Iterator<Item = String> {
    bookmark.content.tags.iter().map(|tag| fold(tag.as_str()))
}

/// What `in:` compares with.
pub(super) fn collections(bookmark: &Bookmark) -> impl Iterator<Item = String> {
    let names = bookmark.content.collections.iter().flat_map(|path| path.names());
    names.map(|name| fold(name.trim()))
}

/// A host and the domains that it is in: what `site:` compares with.
pub(super) fn domains(host: &str) -> impl Iterator<Item = &str> {
    let below = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
    std::iter::once(host).chain(below.filter(|domain| !domain.is_empty()))
}

/// A URL with its escapes read, for the words in it.
fn readable(url: &str) -> String {
    let parts = form_urlencoded::parse(url.as_bytes());
    let parts: Vec<String> = parts.map(|(name, value)| format!("{name} {value}")).collect();
    parts.join(" ")
}

fn microseconds(moment: time::OffsetDateTime) -> i64 {
    let microseconds = moment.unix_timestamp_nanos() / 1_000;
    i64::try_from(microseconds).unwrap_or(i64::MAX)
}

fn words(record: IndexRecordOption) -> TextOptions {
    TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(WORDS)
            .set_index_option(record),
    )
}

fn exact() -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    TextOptions::default().set_indexing_options(indexing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_its_host_and_the_domains_around_it() {
        assert_eq!(
            domains("www.docs.rs").collect::<Vec<_>>(),
            ["www.docs.rs", "docs.rs", "rs"]
        );
        assert_eq!(domains("localhost").collect::<Vec<_>>(), ["localhost"]);
    }

    #[test]
    fn escapes_in_a_url_are_read() {
        let text = readable("https://de.wikipedia.org/wiki/Stra%C3%9Fe?q=a+b&c=%E6%A4%9C");

        assert!(
            text.contains("Straße") && text.contains("a b") && text.contains('検'),
            "{text}"
        );
    }
}
