//! The attributes of one tag: the few that matter are kept, bounded; the rest, such as icons of megabytes, pass by.

use super::text::Capture;

/// The longest name that is looked at; a longer one is none of ours.
const NAME_LIMIT_BYTES: usize = 16;

/// An attribute that says something about a bookmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Href,
    AddDate,
    Tags,
    Private,
    ToRead,
}

impl Kept {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "href" => Some(Self::Href),
            "add_date" => Some(Self::AddDate),
            "tags" => Some(Self::Tags),
            "private" => Some(Self::Private),
            "toread" => Some(Self::ToRead),
            _ => None,
        }
    }

    /// Room for the value with its character references, each of which is longer than what it stands for.
    fn limit_bytes(self) -> usize {
        match self {
            Self::Href => 40_960,
            Self::Tags => 65_536,
            Self::AddDate | Self::Private | Self::ToRead => 64,
        }
    }
}

/// The attributes of one tag, filled in while it is read.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    name: String,
    values: Vec<(Kept, Capture)>,
    open: bool,
}

impl Attributes {
    pub(crate) fn push_name(&mut self, character: char) {
        if self.name.len() <= NAME_LIMIT_BYTES {
            self.name.push(character.to_ascii_lowercase());
        }
    }

    /// The name is whole. Of two attributes with one name the first counts, as in HTML.
    pub(crate) fn end_name(&mut self) {
        let kept = Kept::from_name(&self.name).filter(|kept| self.find(*kept).is_none());
        self.name.clear();
        self.open = kept.is_some();
        if let Some(kept) = kept {
            self.values.push((kept, Capture::new(kept.limit_bytes())));
        }
    }

    pub(crate) fn push_value(&mut self, text: &str) {
        if let Some((_, value)) = self.values.last_mut().filter(|_| self.open) {
            value.push(text);
        }
    }

    /// A value with its character references decoded.
    pub(crate) fn value(&self, kept: Kept) -> Option<String> {
        Some(super::entities::decode(self.find(kept)?.raw()))
    }

    /// Whether a value was longer than anything that would be of use.
    pub(crate) fn was_cut(&self, kept: Kept) -> bool {
        self.find(kept).is_some_and(Capture::was_cut)
    }

    /// A flag: `PRIVATE="1"`, or the bare name.
    pub(crate) fn flag(&self, kept: Kept) -> bool {
        let value = self.value(kept).map(|value| value.trim().to_ascii_lowercase());
        matches!(value.as_deref(), Some("" | "1" | "true" | "yes"))
    }

    fn find(&self, kept: Kept) -> Option<&Capture> {
        self.values
            .iter()
            .find(|(name, _)| *name == kept)
            .map(|(_, value)| value)
    }
}
