//! Strict JSON (RFC 8259), one token at a time.

mod text;

use std::borrow::Cow;

use super::failure::Failure;
use crate::MAX_DEPTH;

pub(super) struct Lexer<'j> {
    input: &'j [u8],
    position: usize,
    depth: usize,
}

/// What kind of value begins here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Start {
    Object,
    List,
    Text,
    Number,
    Bool,
    Null,
}

impl Start {
    fn describe(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::List => "a list",
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Null => "null",
        }
    }
}

impl<'j> Lexer<'j> {
    pub(super) fn new(input: &'j [u8]) -> Self {
        Self {
            input,
            position: 0,
            depth: 0,
        }
    }

    /// What the next value is, without reading it.
    #[inline]
    pub(super) fn start(&mut self) -> Result<Start, Failure> {
        match self.peek() {
            Some(b'"') => Ok(Start::Text),
            Some(b'{') => Ok(Start::Object),
            Some(b'[') => Ok(Start::List),
            Some(b'-' | b'0'..=b'9') => Ok(Start::Number),
            Some(b't' | b'f') => Ok(Start::Bool),
            Some(b'n') => Ok(Start::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// A rule that wants something else than what begins here.
    pub(super) fn mismatch(&mut self, expected: &str) -> Failure {
        match self.start() {
            Ok(start) => Failure::rule(format!("expected {expected}, got {}", start.describe())),
            Err(failure) => failure,
        }
    }

    pub(super) fn open_object(&mut self) -> Result<(), Failure> {
        match self.start()? {
            Start::Object => self.open(),
            _ => Err(self.mismatch("an object")),
        }
    }

    pub(super) fn open_list(&mut self) -> Result<(), Failure> {
        match self.start()? {
            Start::List => self.open(),
            _ => Err(self.mismatch("a list")),
        }
    }

    /// The next member's name with the colon behind it, or nothing at the object's end.
    pub(super) fn next_name(&mut self, is_first: &mut bool) -> Result<Option<Cow<'j, str>>, Failure> {
        let was_first = std::mem::replace(is_first, false);
        if !self.next_item(was_first, b'}')? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a name in quotes"));
        }
        let name = self.text()?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.position += 1;
        Ok(Some(name))
    }

    /// Whether the list has another element, which the caller reads next.
    pub(super) fn next_element(&mut self, is_first: bool) -> Result<bool, Failure> {
        self.next_item(is_first, b']')
    }

    pub(super) fn null(&mut self) -> Result<(), Failure> {
        self.word("null")
    }

    /// `true` or `false`, of which one begins here.
    pub(super) fn boolean(&mut self) -> Result<bool, Failure> {
        let value = self.peek() == Some(b't');
        self.word(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// The text of a number, which begins here.
    pub(super) fn number(&mut self) -> Result<&'j str, Failure> {
        let rest = &self.input[self.position..];
        match number_length(rest).map(|length| (length, std::str::from_utf8(&rest[..length]))) {
            Some((length, Ok(number))) => {
                self.position += length;
                Ok(number)
            }
            _ => Err(Failure::syntax(self.position, "expected a number")),
        }
    }

    /// Passes over a value of any kind, which must be JSON too.
    pub(super) fn skip_value(&mut self) -> Result<(), Failure> {
        match self.start()? {
            Start::Text => self.text().map(|_| ()),
            Start::Number => self.number().map(|_| ()),
            Start::Bool => self.boolean().map(|_| ()),
            Start::Null => self.null(),
            Start::Object => {
                self.open()?;
                let mut is_first = true;
                while self.next_name(&mut is_first)?.is_some() {
                    self.skip_value()?;
                }
                Ok(())
            }
            Start::List => {
                self.open()?;
                let mut is_first = true;
                while self.next_element(std::mem::replace(&mut is_first, false))? {
                    self.skip_value()?;
                }
                Ok(())
            }
        }
    }

    /// A copy that can read ahead.
    pub(super) fn ahead(&self) -> Self {
        Self { ..*self }
    }

    pub(super) fn end(&mut self) -> Result<(), Failure> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the body")),
        }
    }

    pub(super) fn too_deep(&self) -> Failure {
        Failure::syntax(self.position, format!("nested deeper than {MAX_DEPTH} levels"))
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.input.get(self.position) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.position += 1,
                next => return next.copied(),
            }
        }
    }

    fn open(&mut self) -> Result<(), Failure> {
        if self.depth == MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        self.position += 1;
        Ok(())
    }

    fn next_item(&mut self, is_first: bool, closing: u8) -> Result<bool, Failure> {
        match self.peek() {
            Some(byte) if byte == closing => {
                self.position += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ if is_first => Ok(true),
            Some(b',') => {
                self.position += 1;
                Ok(true)
            }
            _ => Err(self.unexpected(if closing == b'}' { "`,` or `}`" } else { "`,` or `]`" })),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Failure> {
        if !self.input[self.position..].starts_with(word.as_bytes()) {
            return Err(Failure::syntax(self.position, format!("expected `{word}`")));
        }
        self.position += word.len();
        Ok(())
    }

    fn unexpected(&mut self, expected: &str) -> Failure {
        let found = match self.peek() {
            None => "the body ends".to_owned(),
            Some(byte) if byte.is_ascii_graphic() => format!("got `{}`", char::from(byte)),
            Some(byte) => format!("got byte {byte:#04x}"),
        };
        Failure::syntax(self.position, format!("expected {expected}, {found}"))
    }
}

/// How long the JSON number is that the bytes begin with, if they do.
pub(super) fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits_from = |start: usize| bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = usize::from(bytes.first() == Some(&b'-'));
    match digits_from(end) {
        0 => return None,
        count if count > 1 && bytes[end] == b'0' => return None,
        count => end += count,
    }
    if bytes.get(end) == Some(&b'.') {
        match digits_from(end + 1) {
            0 => return None,
            count => end += 1 + count,
        }
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        match digits_from(end + 1 + signed) {
            0 => return None,
            count => end += 1 + signed + count,
        }
    }
    Some(end)
}
