//! The Netscape bookmark file, as every browser exports it: bytes in, rows out, in bounded memory whatever comes.
//!
//! One file at a time through four layers: [`decode`] makes text of bytes, [`tokenizer`] tags of text, [`builder`] rows
//! of tags, and here they are put together. The rows depend on the bytes alone, never on how they are split.

mod address;
mod attributes;
mod builder;
mod dates;
mod decode;
mod entities;
mod folders;
mod sniff;
mod tags;
mod text;
mod tokenizer;

use time::OffsetDateTime;

use self::{
    builder::Builder,
    decode::{Decoder, Piece},
    tokenizer::{Damage, Tokenizer},
};
use crate::failure::{Failure, Reason};

pub(crate) use self::{folders::Path, text::prefix};

/// How much text may come before the first sign that this is a bookmark file.
const PATIENCE_BYTES: usize = 1024 * 1024;

/// One link of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line that it begins on, counted from 1.
    pub(crate) line: u32,
    /// As it stands in the file.
    pub(crate) url: String,
    /// Why it cannot be saved, if so.
    pub(crate) skip: Option<String>,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    /// The names of the folders around it, from the outermost in.
    pub(crate) folder: Path,
    pub(crate) add_date: Option<OffsetDateTime>,
    pub(crate) private: bool,
    pub(crate) to_read: bool,
    /// What could not be read, or not be kept whole.
    pub(crate) warnings: Vec<String>,
}

/// Reads one file.
pub(crate) struct Parser {
    decoder: Decoder,
    body: Body,
}

/// What comes after decoding; apart from the decoder, which lends it pieces of its own buffer.
struct Body {
    tokenizer: Tokenizer,
    builder: Builder,
    patience_bytes: usize,
    blank: bool,
}

impl Parser {
    pub(crate) fn new(max_rows: usize) -> Self {
        let body = Body {
            tokenizer: Tokenizer::new(),
            builder: Builder::new(max_rows),
            patience_bytes: PATIENCE_BYTES,
            blank: true,
        };
        Self {
            decoder: Decoder::new(),
            body,
        }
    }

    /// Reads the next bytes of the file; adds the rows that are whole by now.
    pub(crate) fn push(&mut self, bytes: &[u8], rows: &mut Vec<Row>) -> Result<(), Failure> {
        self.decoder.push(bytes, &mut |piece| self.body.take(piece, rows))
    }

    /// The file has ended; adds the rows that are left.
    pub(crate) fn finish(mut self, rows: &mut Vec<Row>) -> Result<(), Failure> {
        self.decoder.finish(&mut |piece| self.body.take(piece, rows))?;
        self.body.finish(rows)
    }
}

impl Body {
    fn take(&mut self, piece: Piece<'_>, rows: &mut Vec<Row>) -> Result<(), Failure> {
        match piece {
            Piece::Text(text) => {
                self.blank = self.blank && text.trim().is_empty();
                self.patiently(text, rows)
            }
            Piece::Malformed => {
                self.blank = false;
                self.damaged(
                    Damage {
                        malformed: true,
                        nul: false,
                    },
                    rows,
                )?;
                self.patiently("\u{FFFD}", rows)
            }
            Piece::Nul => {
                self.blank = false;
                self.damaged(
                    Damage {
                        malformed: false,
                        nul: true,
                    },
                    rows,
                )?;
                self.spend(1)
            }
        }
    }

    /// Gives up at the same character however the text is split.
    fn patiently(&mut self, text: &str, rows: &mut Vec<Row>) -> Result<(), Failure> {
        if self.builder.is_bookmark_file() || text.len() < self.patience_bytes {
            self.tokens(text, rows)?;
            return self.spend(text.len());
        }
        let (last, rest) = text.split_at(text.ceil_char_boundary(self.patience_bytes));
        self.tokens(last, rows)?;
        self.spend(last.len())?;
        self.tokens(rest, rows)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Failure> {
        self.patience_bytes = self.patience_bytes.saturating_sub(bytes);
        if self.patience_bytes > 0 || self.builder.is_bookmark_file() {
            return Ok(());
        }
        Err(self.not_a_bookmark_file("there is no bookmark and no folder up to here"))
    }

    fn tokens(&mut self, text: &str, rows: &mut Vec<Row>) -> Result<(), Failure> {
        self.tokenizer
            .push(text, &mut |token, line| self.builder.take(token, line, rows))
    }

    fn damaged(&mut self, damage: Damage, rows: &mut Vec<Row>) -> Result<(), Failure> {
        self.tokenizer
            .damaged(damage, &mut |token, line| self.builder.take(token, line, rows))
    }

    fn finish(self, rows: &mut Vec<Row>) -> Result<(), Failure> {
        if self.blank {
            return Err(Failure::new(Reason::EmptyFile, 0, "the file is empty"));
        }
        if !self.builder.is_bookmark_file() {
            return Err(self.not_a_bookmark_file("there is no bookmark and no folder in the whole file"));
        }
        let line = self.tokenizer.line();
        self.builder.finish(self.tokenizer.finish(), line, rows)
    }

    fn not_a_bookmark_file(&self, what: &str) -> Failure {
        Failure::new(
            Reason::NotABookmarkFile,
            self.tokenizer.line(),
            format!("this is not an HTML file of bookmarks: {what}"),
        )
    }
}

#[cfg(test)]
mod tests;
