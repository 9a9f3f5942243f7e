//! Text to tags: a state machine that can be fed any split of the text and holds no more than the tag it is in.

use memchr::{memchr, memchr2_iter, memchr3};

use super::attributes::Attributes;
use crate::failure::Failure;

/// The longest tag name that is looked at.
const NAME_LIMIT_BYTES: usize = 8;

/// How much of a `<!...>` is looked at: enough for `DOCTYPE NETSCAPE-Bookmark-file-1`.
const MARKUP_LIMIT_BYTES: usize = 64;

/// The tags that mean something in a bookmark file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Link,
    Term,
    Details,
    List,
    Heading,
    Rule,
    Break,
    Other,
}

impl Name {
    fn from_text(text: &str) -> Self {
        match text {
            "a" => Self::Link,
            "dt" => Self::Term,
            "dd" => Self::Details,
            "dl" => Self::List,
            "h2" | "h3" | "h4" | "h5" | "h6" => Self::Heading,
            "hr" => Self::Rule,
            "br" | "p" | "li" | "div" => Self::Break,
            _ => Self::Other,
        }
    }
}

/// What could not be read as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) malformed: bool,
    pub(crate) nul: bool,
}

/// A tag that begins something.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: Name,
    /// The line that it begins on.
    pub(crate) line: u32,
    pub(crate) attributes: Attributes,
    pub(crate) damage: Damage,
}

#[derive(Debug)]
pub(crate) enum Token<'a> {
    /// Text between tags; a long one comes in pieces.
    Text(&'a str),
    Start(Tag),
    End(Name),
    /// `<!DOCTYPE NETSCAPE-Bookmark-file-1>`.
    NetscapeDoctype,
    /// Something between tags could not be read.
    Damage(Damage),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// After `<`.
    Open,
    /// After `</`.
    OpenEnd,
    TagName,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Quoted(u8),
    Unquoted,
    /// After `<!`.
    Markup,
    Comment,
    /// `</3 ...>`, `<?xml ...>`: nothing that means anything.
    Bogus,
}

pub(crate) struct Tokenizer {
    state: State,
    line: u32,
    after_return: bool,
    tag_line: u32,
    is_end_tag: bool,
    tag_name: String,
    attributes: Attributes,
    damage: Damage,
    markup: String,
    dashes: usize,
}

impl Tokenizer {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Text,
            line: 1,
            after_return: false,
            tag_line: 1,
            is_end_tag: false,
            tag_name: String::new(),
            attributes: Attributes::default(),
            damage: Damage::default(),
            markup: String::new(),
            dashes: 0,
        }
    }

    /// The line that the next character is on.
    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    pub(crate) fn push(
        &mut self,
        text: &str,
        take: &mut impl FnMut(Token<'_>, u32) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut rest = text;
        while !rest.is_empty() {
            let (used, token) = self.step(rest);
            let line = self.line;
            let (done, left) = rest.split_at(used);
            self.count_lines(done);
            rest = left;
            match token {
                Step::Nothing => {}
                Step::Text => take(Token::Text(done), line)?,
                Step::LoneBracket => take(Token::Text("<"), line)?,
                Step::Tag => self.emit_tag(take)?,
                Step::Doctype => take(Token::NetscapeDoctype, line)?,
            }
        }
        Ok(())
    }

    /// Notes that something here cannot be read: of the tag, when one is open.
    pub(crate) fn damaged(
        &mut self,
        damage: Damage,
        take: &mut impl FnMut(Token<'_>, u32) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.state == State::Text {
            return take(Token::Damage(damage), self.line);
        }
        self.damage.malformed |= damage.malformed;
        self.damage.nul |= damage.nul;
        Ok(())
    }

    /// The tag that the file ends in the middle of, if it does.
    pub(crate) fn finish(self) -> Option<Tag> {
        if self.state == State::Text {
            return None;
        }
        let whole = !matches!(
            self.state,
            State::Open | State::OpenEnd | State::TagName | State::Markup | State::Comment
        );
        let name = if whole && !self.is_end_tag {
            Name::from_text(&self.tag_name)
        } else {
            Name::Other
        };
        Some(Tag {
            name,
            line: self.tag_line,
            attributes: self.attributes,
            damage: self.damage,
        })
    }

    fn emit_tag(&mut self, take: &mut impl FnMut(Token<'_>, u32) -> Result<(), Failure>) -> Result<(), Failure> {
        let name = Name::from_text(&self.tag_name);
        let (attributes, damage) = (std::mem::take(&mut self.attributes), std::mem::take(&mut self.damage));
        if self.is_end_tag {
            return take(Token::End(name), self.tag_line);
        }
        take(
            Token::Start(Tag {
                name,
                line: self.tag_line,
                attributes,
                damage,
            }),
            self.tag_line,
        )
    }

    /// Line ends are LF, CR LF and the lone CR of old Macs.
    fn count_lines(&mut self, text: &str) {
        let bytes = text.as_bytes();
        for position in memchr2_iter(b'\n', b'\r', bytes) {
            let follows_return = if position == 0 {
                self.after_return
            } else {
                bytes[position - 1] == b'\r'
            };
            if bytes[position] == b'\r' || !follows_return {
                self.line = self.line.saturating_add(1);
            }
        }
        self.after_return = bytes.last().map_or(self.after_return, |byte| *byte == b'\r');
    }

    /// Looks at the start of `text`: how many bytes are dealt with, and what they made. Always gets on: bytes or state.
    fn step(&mut self, text: &str) -> (usize, Step) {
        let first = text.as_bytes()[0];
        match self.state {
            State::Text => self.text(text),
            State::Open => self.open(first),
            State::OpenEnd => self.open_end(first),
            State::TagName => self.tag_name(text, first),
            State::BeforeName => self.before_name(text, first),
            State::Name => self.name(text, first),
            State::AfterName => self.after_name(first),
            State::BeforeValue => self.before_value(first),
            State::Quoted(quote) => self.quoted(text, quote),
            State::Unquoted => self.unquoted(text),
            State::Markup => self.markup(text, first),
            State::Comment => self.comment(text),
            State::Bogus => self.bogus(text),
        }
    }

    fn text(&mut self, text: &str) -> (usize, Step) {
        match memchr(b'<', text.as_bytes()) {
            Some(0) => {
                self.begin_tag();
                (1, Step::Nothing)
            }
            Some(position) => (position, Step::Text),
            None => (text.len(), Step::Text),
        }
    }

    fn begin_tag(&mut self) {
        self.state = State::Open;
        self.tag_line = self.line;
        self.is_end_tag = false;
        self.tag_name.clear();
        self.markup.clear();
        self.dashes = 0;
        self.attributes = Attributes::default();
        self.damage = Damage::default();
    }

    fn open(&mut self, first: u8) -> (usize, Step) {
        match first {
            b'a'..=b'z' | b'A'..=b'Z' => self.become_state(State::TagName, 0),
            b'/' => self.become_state(State::OpenEnd, 1),
            b'!' => self.become_state(State::Markup, 1),
            b'?' => self.become_state(State::Bogus, 1),
            _ => {
                self.state = State::Text;
                (0, Step::LoneBracket)
            }
        }
    }

    fn open_end(&mut self, first: u8) -> (usize, Step) {
        self.is_end_tag = true;
        let state = if first.is_ascii_alphabetic() {
            State::TagName
        } else {
            State::Bogus
        };
        self.become_state(state, 0)
    }

    fn tag_name(&mut self, text: &str, first: u8) -> (usize, Step) {
        match first {
            b'>' | b'/' | b'<' | b' ' | b'\t' | b'\n' | b'\r' | 0x0C => self.become_state(State::BeforeName, 0),
            _ => {
                let character = first_character(text);
                if self.tag_name.len() < NAME_LIMIT_BYTES {
                    self.tag_name.push(character.to_ascii_lowercase());
                }
                (character.len_utf8(), Step::Nothing)
            }
        }
    }

    fn before_name(&mut self, text: &str, first: u8) -> (usize, Step) {
        match first {
            b'>' => self.end_tag(1),
            // Somebody forgot the `>`: the next tag is worth more than an attribute with a bracket in its name.
            b'<' => self.end_tag(0),
            b'/' | b' ' | b'\t' | b'\n' | b'\r' | 0x0C => (1, Step::Nothing),
            _ => {
                let character = first_character(text);
                self.attributes.push_name(character);
                self.become_state(State::Name, character.len_utf8())
            }
        }
    }

    fn end_tag(&mut self, used: usize) -> (usize, Step) {
        self.state = State::Text;
        (used, Step::Tag)
    }

    fn name(&mut self, text: &str, first: u8) -> (usize, Step) {
        match first {
            b'=' | b'>' | b'<' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | 0x0C => {
                self.attributes.end_name();
                self.become_state(State::AfterName, 0)
            }
            _ => {
                let character = first_character(text);
                self.attributes.push_name(character);
                (character.len_utf8(), Step::Nothing)
            }
        }
    }

    fn after_name(&mut self, first: u8) -> (usize, Step) {
        match first {
            b'=' => self.become_state(State::BeforeValue, 1),
            b' ' | b'\t' | b'\n' | b'\r' | 0x0C => (1, Step::Nothing),
            _ => self.become_state(State::BeforeName, 0),
        }
    }

    fn before_value(&mut self, first: u8) -> (usize, Step) {
        match first {
            b'"' | b'\'' => self.become_state(State::Quoted(first), 1),
            b'>' => self.become_state(State::BeforeName, 0),
            b' ' | b'\t' | b'\n' | b'\r' | 0x0C => (1, Step::Nothing),
            _ => self.become_state(State::Unquoted, 0),
        }
    }

    fn quoted(&mut self, text: &str, quote: u8) -> (usize, Step) {
        match memchr(quote, text.as_bytes()) {
            Some(end) => {
                self.attributes.push_value(&text[..end]);
                self.become_state(State::BeforeName, end + 1)
            }
            None => {
                self.attributes.push_value(text);
                (text.len(), Step::Nothing)
            }
        }
    }

    fn unquoted(&mut self, text: &str) -> (usize, Step) {
        let end = text
            .bytes()
            .position(|byte| matches!(byte, b'>' | b' ' | b'\t' | b'\n' | b'\r' | 0x0C));
        self.attributes.push_value(&text[..end.unwrap_or(text.len())]);
        match end {
            Some(end) => self.become_state(State::BeforeName, end),
            None => (text.len(), Step::Nothing),
        }
    }

    fn markup(&mut self, text: &str, first: u8) -> (usize, Step) {
        if first == b'>' {
            self.state = State::Text;
            let netscape = self.markup.to_ascii_lowercase().contains("netscape-bookmark-file");
            return (1, if netscape { Step::Doctype } else { Step::Nothing });
        }
        let character = first_character(text);
        if self.markup.len() < MARKUP_LIMIT_BYTES {
            self.markup.push(character);
        }
        if self.markup == "--" {
            // `<!-->` is a whole comment, so the two dashes count for its end too.
            self.dashes = 2;
            self.state = State::Comment;
        }
        (character.len_utf8(), Step::Nothing)
    }

    fn comment(&mut self, text: &str) -> (usize, Step) {
        let Some(position) = memchr3(b'-', b'>', b'-', text.as_bytes()) else {
            self.dashes = 0;
            return (text.len(), Step::Nothing);
        };
        if position > 0 {
            self.dashes = 0;
            return (position, Step::Nothing);
        }
        if text.as_bytes()[0] == b'-' {
            self.dashes += 1;
        } else if self.dashes >= 2 {
            self.state = State::Text;
        } else {
            self.dashes = 0;
        }
        (1, Step::Nothing)
    }

    fn bogus(&mut self, text: &str) -> (usize, Step) {
        match memchr(b'>', text.as_bytes()) {
            Some(position) => self.become_state(State::Text, position + 1),
            None => (text.len(), Step::Nothing),
        }
    }

    fn become_state(&mut self, state: State, used: usize) -> (usize, Step) {
        self.state = state;
        (used, Step::Nothing)
    }
}

/// What a step made of the bytes that it used.
enum Step {
    Nothing,
    Text,
    LoneBracket,
    Tag,
    Doctype,
}

fn first_character(text: &str) -> char {
    text.chars().next().expect("a step is never given empty text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netscape::attributes::Kept;

    /// The tokens of a text given in one piece, written out.
    fn tokens(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut take = |token: Token<'_>, line: u32| {
            found.push(match token {
                Token::Text(text) => format!("{line} text {text:?}"),
                Token::Start(tag) => format!(
                    "{} start {:?} {:?}",
                    tag.line,
                    tag.name,
                    tag.attributes.value(Kept::Href)
                ),
                Token::End(name) => format!("{line} end {name:?}"),
                Token::NetscapeDoctype => format!("{line} doctype"),
                Token::Damage(damage) => format!("{line} {damage:?}"),
            });
            Ok(())
        };
        Tokenizer::new().push(text, &mut take).unwrap();
        found
    }

    #[test]
    fn tags_and_text_come_with_their_lines() {
        assert_eq!(
            tokens("<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL>\r\n<Dt><A\nHREF='x y'\n>One</a>"),
            [
                "1 doctype",
                "1 text \"\\n\"",
                "2 start List None",
                "2 text \"\\r\\n\"",
                "3 start Term None",
                "3 start Link Some(\"x y\")",
                "5 text \"One\"",
                "5 end Link"
            ]
        );
    }

    #[test]
    fn values_are_quoted_or_not() {
        for tag in [
            "<a href=x>",
            "<a href = \"x\">",
            "<a href='x'/>",
            "<a icon=\"a>b\" HREF=\"x\" href=y>",
            "<a\thref=x\t>",
        ] {
            assert_eq!(tokens(tag), ["1 start Link Some(\"x\")"], "{tag}");
        }
    }

    #[test]
    fn comments_pass_by_with_all_that_is_in_them() {
        assert_eq!(
            tokens("a<!-- <a href=x> - -- > --->b<!---->c<!-->d"),
            ["1 text \"a\"", "1 text \"b\"", "1 text \"c\"", "1 text \"d\""]
        );
    }

    #[test]
    fn a_lone_bracket_is_text() {
        assert_eq!(
            tokens("1 < 2 <3"),
            [
                "1 text \"1 \"",
                "1 text \"<\"",
                "1 text \" 2 \"",
                "1 text \"<\"",
                "1 text \"3\""
            ]
        );
    }

    #[test]
    fn a_tag_without_its_end_is_ended_by_the_next() {
        assert_eq!(
            tokens("<a href=\"x\"\n<dt>"),
            ["1 start Link Some(\"x\")", "2 start Term None"]
        );
    }

    #[test]
    fn what_means_nothing_passes_by() {
        assert_eq!(tokens("<?xml a=\"b\"?></3><!ELEMENT x></>y"), ["1 text \"y\""]);
    }

    #[test]
    fn old_mac_line_ends_count() {
        assert_eq!(tokens("a\rb\r<hr>"), ["1 text \"a\\rb\\r\"", "3 start Rule None"]);
    }
}
