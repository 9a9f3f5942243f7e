//! Why an import ends without the whole file.

/// The reasons, by the stable names that callers see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    EmptyFile,
    NotABookmarkFile,
    NoBookmarks,
    TooDeep,
    TooManyRows,
    FileGone,
    GaveUp,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::EmptyFile => "EMPTY_FILE",
            Self::NotABookmarkFile => "NOT_A_BOOKMARK_FILE",
            Self::NoBookmarks => "NO_BOOKMARKS",
            Self::TooDeep => "TOO_DEEP",
            Self::TooManyRows => "TOO_MANY_ROWS",
            Self::FileGone => "FILE_GONE",
            Self::GaveUp => "GAVE_UP",
        }
    }
}

/// A reason with the line of the file, 0 when it is about the whole of it, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) line: u32,
    pub(crate) description: String,
}

impl Failure {
    pub(crate) fn new(reason: Reason, line: u32, description: impl Into<String>) -> Self {
        Self {
            reason,
            line,
            description: description.into(),
        }
    }
}
