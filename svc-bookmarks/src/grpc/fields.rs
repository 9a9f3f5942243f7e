//! The fields of a bookmark that callers may set, parsed: all of them for a new one, those of a mask for a change.

use bookmesh_proto::bookmarks::v1 as proto;
use prost_types::FieldMask;
use service::{check, status::Violation};

use crate::domain::{CollectionPath, Content, SavedUrl, Tag, collections_differ, limits, united_tags};

/// A field that callers may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Url,
    Title,
    Description,
    Note,
    Tags,
    Collections,
    ToRead,
    Private,
}

const ALL: [Field; 8] = [
    Field::Url,
    Field::Title,
    Field::Description,
    Field::Note,
    Field::Tags,
    Field::Collections,
    Field::ToRead,
    Field::Private,
];

/// New values; what is none stays.
#[derive(Debug, Default)]
pub(super) struct Fields {
    url: Option<SavedUrl>,
    title: Option<String>,
    description: Option<String>,
    note: Option<String>,
    tags: Option<Vec<Tag>>,
    collections: Option<Vec<CollectionPath>>,
    to_read: Option<bool>,
    private: Option<bool>,
}

/// The content of a new bookmark.
pub(super) fn content(message: proto::Bookmark) -> Result<Content, Vec<Violation>> {
    let fields = Fields::parse(message, &ALL)?;
    let content = Content {
        url: fields.url.expect("parsing all fields parses the url"),
        title: fields.title.unwrap_or_default(),
        description: fields.description.unwrap_or_default(),
        note: fields.note.unwrap_or_default(),
        tags: fields.tags.unwrap_or_default(),
        collections: fields.collections.unwrap_or_default(),
        to_read: fields.to_read.unwrap_or_default(),
        private: fields.private.unwrap_or_default(),
    };
    within_limits(content)
}

/// The fields that a mask names. Without a mask, those that the message has.
pub(super) fn of_mask(mask: Option<FieldMask>, message: &proto::Bookmark) -> Result<Vec<Field>, Vec<Violation>> {
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        return Ok(ALL.into_iter().filter(|field| field.is_set(message)).collect());
    }
    let mut fields = Vec::new();
    let mut violations = Vec::new();
    for path in &paths {
        match path.as_str() {
            "*" => fields.extend(ALL),
            // They say which bookmark is meant, and which state of it.
            "id" | "etag" => {}
            "create_time" | "update_time" | "version" => {
                violations.push(Violation::new(
                    "update_mask",
                    format!("must not name {path}: it is read-only"),
                ));
            }
            path => match ALL.into_iter().find(|field| field.path() == path) {
                Some(field) => fields.push(field),
                None => violations.push(Violation::new(
                    "update_mask",
                    format!("must not name {path}: there is no such field"),
                )),
            },
        }
    }
    if violations.is_empty() {
        Ok(fields)
    } else {
        Err(violations)
    }
}

impl Field {
    fn path(self) -> &'static str {
        match self {
            Field::Url => "url",
            Field::Title => "title",
            Field::Description => "description",
            Field::Note => "note",
            Field::Tags => "tags",
            Field::Collections => "collections",
            Field::ToRead => "to_read",
            Field::Private => "private",
        }
    }

    fn is_set(self, message: &proto::Bookmark) -> bool {
        match self {
            Field::Url => !message.url.is_empty(),
            Field::Title => !message.title.is_empty(),
            Field::Description => !message.description.is_empty(),
            Field::Note => !message.note.is_empty(),
            Field::Tags => !message.tags.is_empty(),
            Field::Collections => !message.collections.is_empty(),
            Field::ToRead => message.to_read,
            Field::Private => message.private,
        }
    }
}

impl Fields {
    pub(super) fn parse(message: proto::Bookmark, wanted: &[Field]) -> Result<Fields, Vec<Violation>> {
        let mut fields = Fields::default();
        let mut violations = Vec::new();
        if wanted.contains(&Field::Url) {
            match SavedUrl::parse("url", &message.url) {
                Ok(url) => fields.url = Some(url),
                Err(violation) => violations.push(violation),
            }
        }
        let texts = [
            (Field::Title, message.title, limits::TITLE_BYTES, &mut fields.title),
            (
                Field::Description,
                message.description,
                limits::DESCRIPTION_BYTES,
                &mut fields.description,
            ),
            (Field::Note, message.note, limits::NOTE_BYTES, &mut fields.note),
        ];
        for (field, value, max_bytes, target) in texts {
            if wanted.contains(&field) {
                violations.extend(check::text(field.path(), &value, max_bytes));
                *target = Some(value);
            }
        }
        if wanted.contains(&Field::Tags) {
            fields.tags = Some(tags(&message.tags, &mut violations));
        }
        if wanted.contains(&Field::Collections) {
            fields.collections = Some(collections(message.collections, &mut violations));
        }
        fields.to_read = wanted.contains(&Field::ToRead).then_some(message.to_read);
        fields.private = wanted.contains(&Field::Private).then_some(message.private);
        if violations.is_empty() {
            Ok(fields)
        } else {
            Err(violations)
        }
    }

    /// The content with the new values. Lists that hold the same stay as they are.
    pub(super) fn apply(self, content: Content) -> Result<Content, Vec<Violation>> {
        let collections = self
            .collections
            .filter(|new| collections_differ(new, &content.collections));
        within_limits(Content {
            url: self.url.unwrap_or(content.url),
            title: self.title.unwrap_or(content.title),
            description: self.description.unwrap_or(content.description),
            note: self.note.unwrap_or(content.note),
            tags: self.tags.unwrap_or(content.tags),
            collections: collections.unwrap_or(content.collections),
            to_read: self.to_read.unwrap_or(content.to_read),
            private: self.private.unwrap_or(content.private),
        })
    }
}

fn tags(texts: &[String], violations: &mut Vec<Violation>) -> Vec<Tag> {
    if texts.len() > limits::TAGS {
        violations.push(Violation::new(
            "tags",
            format!("must be at most {}, are {}", limits::TAGS, texts.len()),
        ));
        return Vec::new();
    }
    let mut tags = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match Tag::parse(&format!("tags[{index}]"), text) {
            Ok(tag) => tags.push(tag),
            Err(violation) => violations.push(violation),
        }
    }
    united_tags(tags)
}

fn collections(paths: Vec<proto::CollectionPath>, violations: &mut Vec<Violation>) -> Vec<CollectionPath> {
    if paths.len() > limits::COLLECTIONS {
        let rule = format!("must be at most {}, are {}", limits::COLLECTIONS, paths.len());
        violations.push(Violation::new("collections", rule));
        return Vec::new();
    }
    let mut collections: Vec<CollectionPath> = Vec::with_capacity(paths.len());
    for (index, path) in paths.into_iter().enumerate() {
        match CollectionPath::parse(&format!("collections[{index}]"), path.names) {
            Ok(path) if collections.contains(&path) => {}
            Ok(path) => collections.push(path),
            Err(wrong) => violations.extend(wrong),
        }
    }
    collections
}

fn within_limits(content: Content) -> Result<Content, Vec<Violation>> {
    match content.too_large("bookmark") {
        Some(violation) => Err(vec![violation]),
        None => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> Option<FieldMask> {
        Some(FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        })
    }

    #[test]
    fn a_mask_names_fields_that_can_be_set() {
        let message = proto::Bookmark {
            title: "x".to_owned(),
            ..proto::Bookmark::default()
        };

        assert_eq!(
            of_mask(mask(&["note", "to_read"]), &message),
            Ok(vec![Field::Note, Field::ToRead])
        );
        assert_eq!(of_mask(mask(&["*"]), &message).unwrap().len(), 8);
        assert_eq!(of_mask(None, &message), Ok(vec![Field::Title]));
        for wrong in ["version", "create_time", "nonsense", "url.x", ""] {
            assert_eq!(
                of_mask(mask(&[wrong]), &message).unwrap_err()[0].field,
                "update_mask",
                "{wrong}"
            );
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let message = proto::Bookmark {
            url: "no scheme".to_owned(),
            title: "x".repeat(1_025),
            note: "a\0b".to_owned(),
            tags: vec!["ok".to_owned(), String::new()],
            collections: vec![proto::CollectionPath::default()],
            ..proto::Bookmark::default()
        };

        let violations = content(message).unwrap_err();

        let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["url", "title", "note", "tags[1]", "collections[0].names"]);
    }

    #[test]
    fn a_bookmark_that_would_not_fit_into_an_event_is_refused() {
        let names = vec!["n".repeat(255); 60];
        let collections = (0..40).map(|index| {
            let mut names = names.clone();
            names.push(index.to_string());
            proto::CollectionPath { names }
        });
        let message = proto::Bookmark {
            url: "https://example.com/".to_owned(),
            collections: collections.collect(),
            ..proto::Bookmark::default()
        };

        assert_eq!(content(message).unwrap_err()[0].field, "bookmark");
    }
}
