//! Tags to rows: knows which tag ends what in files where nothing is closed properly.

use super::{
    Row,
    address::{self, URL_LIMIT_BYTES},
    attributes::Kept,
    dates::{self, ReadDate},
    folders::{Folders, Path},
    tags,
    text::{Capture, Cut, prefix},
    tokenizer::{Damage, Name, Tag, Token},
};
use crate::failure::{Failure, Reason};

const TITLE_LIMIT_BYTES: usize = 1_024;
const DESCRIPTION_LIMIT_BYTES: usize = 65_536;
const FOLDER_NAME_LIMIT_BYTES: usize = 255;

/// Room for text as it stands in the file, where a character may be a reference of several bytes.
const fn in_the_file(limit_bytes: usize) -> usize {
    limit_bytes * 4
}

/// What the text that comes belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Nothing,
    Title,
    Description,
    FolderName,
}

/// A link whose title and description are still being read.
struct Draft {
    tag: Tag,
    title: Capture,
    description: Capture,
    folder: Path,
    folder_was_cut: bool,
}

pub(crate) struct Builder {
    max_rows: usize,
    rows: usize,
    folders: Folders,
    /// The name in a heading, until the list that it names begins.
    heading: Option<Capture>,
    draft: Option<Draft>,
    /// The last whole row: the end of the file may still have something to say about it.
    held: Option<Row>,
    target: Target,
    after_term: bool,
    uses_terms: bool,
    is_bookmark_file: bool,
}

impl Builder {
    pub(crate) fn new(max_rows: usize) -> Self {
        Self {
            max_rows,
            rows: 0,
            folders: Folders::default(),
            heading: None,
            draft: None,
            held: None,
            target: Target::Nothing,
            after_term: false,
            uses_terms: false,
            is_bookmark_file: false,
        }
    }

    /// Whether something has come that other HTML does not begin with.
    pub(crate) fn is_bookmark_file(&self) -> bool {
        self.is_bookmark_file
    }

    pub(crate) fn take(&mut self, token: Token<'_>, line: u32, rows: &mut Vec<Row>) -> Result<(), Failure> {
        match token {
            Token::Text(text) => self.text(text),
            Token::Start(tag) => return self.start(tag, rows),
            Token::End(name) => self.end(name, rows),
            Token::NetscapeDoctype => self.is_bookmark_file = true,
            Token::Damage(damage) => self.damaged(damage, line),
        }
        Ok(())
    }

    /// The file has ended, on `line`, perhaps in the middle of a tag.
    pub(crate) fn finish(mut self, unfinished: Option<Tag>, line: u32, rows: &mut Vec<Row>) -> Result<(), Failure> {
        let open_lists = self.folders.open_lists();
        let in_title = self.target == Target::Title;
        self.finish_draft(rows);
        let cut = match unfinished {
            Some(tag) if tag.name == Name::Link => return self.finish_inside_link(tag, rows),
            Some(tag) => Some(format!("the file ends inside the tag that begins on line {}", tag.line)),
            None if in_title => Some(format!("the file ends on line {line} in the middle of this title")),
            None if open_lists > 0 => Some(format!(
                "the file ends on line {line} with folders left open; it may have been cut off"
            )),
            None => None,
        };
        match &mut self.held {
            Some(row) => row.warnings.extend(cut),
            None => return Err(Failure::new(Reason::NoBookmarks, line, no_bookmarks(cut))),
        }
        rows.extend(self.held);
        Ok(())
    }

    fn finish_inside_link(mut self, tag: Tag, rows: &mut Vec<Row>) -> Result<(), Failure> {
        self.begin_link(tag, rows)?;
        self.finish_draft(rows);
        if let Some(row) = &mut self.held {
            row.skip = Some("the file ends in the middle of this link".to_owned());
        }
        rows.extend(self.held);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        match self.target {
            Target::Nothing => {}
            Target::Title => self.draft.iter_mut().for_each(|draft| draft.title.push(text)),
            Target::Description => self.draft.iter_mut().for_each(|draft| draft.description.push(text)),
            Target::FolderName => self.heading.iter_mut().for_each(|heading| heading.push(text)),
        }
    }

    fn start(&mut self, tag: Tag, rows: &mut Vec<Row>) -> Result<(), Failure> {
        let after_term = std::mem::replace(&mut self.after_term, false);
        match tag.name {
            Name::Link => {
                // A description may have links in it; those of the list have a DT before them where the file uses any.
                let markup = self.target == Target::Description && self.uses_terms && !after_term;
                if self.is_bookmark_file && !markup {
                    self.begin_link(tag, rows)?;
                }
            }
            Name::Term => {
                self.finish_draft(rows);
                self.is_bookmark_file = true;
                self.uses_terms = true;
                self.after_term = true;
            }
            Name::Details => self.begin_details(),
            Name::List => {
                self.is_bookmark_file = true;
                self.finish_draft(rows);
                let name = self.folder_name();
                self.folders.open(name, tag.line)?;
            }
            Name::Heading => {
                self.finish_draft(rows);
                self.heading = Some(Capture::new(in_the_file(FOLDER_NAME_LIMIT_BYTES)));
                self.target = Target::FolderName;
            }
            Name::Rule => self.finish_draft(rows),
            Name::Break => {
                self.text("\n");
                self.after_term = after_term;
            }
            Name::Other => self.after_term = after_term,
        }
        Ok(())
    }

    fn end(&mut self, name: Name, rows: &mut Vec<Row>) {
        match name {
            Name::Link if self.target == Target::Title => self.target = Target::Nothing,
            Name::Heading if self.target == Target::FolderName => self.target = Target::Nothing,
            Name::Details if self.target == Target::Description => self.target = Target::Nothing,
            Name::List => {
                self.finish_draft(rows);
                self.heading = None;
                self.folders.close();
            }
            Name::Link | Name::Heading | Name::Details | Name::Term | Name::Rule | Name::Break | Name::Other => {}
        }
    }

    /// Text of the link before it, unless a heading came between: folders have descriptions too, which nobody keeps.
    fn begin_details(&mut self) {
        self.target = if self.heading.is_some() {
            Target::Nothing
        } else {
            Target::Description
        };
        self.text("\n");
    }

    fn begin_link(&mut self, tag: Tag, rows: &mut Vec<Row>) -> Result<(), Failure> {
        self.finish_draft(rows);
        if self.rows == self.max_rows {
            let description = format!(
                "line {} has one bookmark more than the {} that an import takes",
                tag.line, self.max_rows
            );
            return Err(Failure::new(Reason::TooManyRows, tag.line, description));
        }
        self.rows += 1;
        self.heading = None;
        self.target = Target::Title;
        self.draft = Some(Draft {
            tag,
            title: Capture::new(in_the_file(TITLE_LIMIT_BYTES)),
            description: Capture::new(in_the_file(DESCRIPTION_LIMIT_BYTES)),
            folder: self.folders.path(),
            folder_was_cut: self.folders.too_deep(),
        });
        Ok(())
    }

    fn finish_draft(&mut self, rows: &mut Vec<Row>) {
        self.target = Target::Nothing;
        if let Some(draft) = self.draft.take() {
            rows.extend(self.held.replace(draft.into_row()));
        }
    }

    fn folder_name(&mut self) -> Option<String> {
        let name = self.heading.take()?.line(FOLDER_NAME_LIMIT_BYTES).text;
        (!name.is_empty()).then_some(name)
    }

    /// Damage after the end of a link's text, such as in a folder's name, is the folder's; nobody loses a link by it.
    fn damaged(&mut self, damage: Damage, _line: u32) {
        if let Some(draft) = self.draft.as_mut().filter(|_| self.target != Target::Nothing) {
            draft.tag.damage.malformed |= damage.malformed;
            draft.tag.damage.nul |= damage.nul;
        }
    }
}

impl Draft {
    fn into_row(self) -> Row {
        let mut warnings = Vec::new();
        let title = kept(self.title.line(TITLE_LIMIT_BYTES), "the title", &mut warnings);
        let description = kept(
            self.description.lines(DESCRIPTION_LIMIT_BYTES),
            "the description",
            &mut warnings,
        );
        let add_date = read_date(&self.tag, &mut warnings);
        let tags = read_tags(&self.tag, &mut warnings);
        if self.folder_was_cut {
            warnings.push("the folders are nested too deep; the innermost are left out".to_owned());
        }
        warn_of_damage(self.tag.damage, &mut warnings);
        let attributes = &self.tag.attributes;
        let url = address::tidy(&attributes.value(Kept::Href).unwrap_or_default());
        Row {
            line: self.tag.line,
            skip: if attributes.was_cut(Kept::Href) {
                Some(too_long())
            } else {
                address::reason_to_skip(&url)
            },
            url,
            title,
            description,
            tags,
            folder: self.folder,
            add_date,
            private: attributes.flag(Kept::Private),
            to_read: attributes.flag(Kept::ToRead),
            warnings,
        }
    }
}

fn too_long() -> String {
    format!("the URL is longer than {URL_LIMIT_BYTES} bytes")
}

fn kept(cut: Cut, what: &str, warnings: &mut Vec<String>) -> String {
    if cut.was_cut {
        warnings.push(format!("{what} is cut at {} bytes", cut.text.len()));
    }
    cut.text
}

fn read_date(tag: &Tag, warnings: &mut Vec<String>) -> Option<time::OffsetDateTime> {
    let text = tag.attributes.value(Kept::AddDate)?;
    match dates::read(&text) {
        ReadDate::Absent => None,
        ReadDate::At(moment) => Some(moment),
        ReadDate::Unreadable => {
            warnings.push(format!("ADD_DATE is no date: {}", prefix(text.trim(), 40)));
            None
        }
    }
}

fn read_tags(tag: &Tag, warnings: &mut Vec<String>) -> Vec<String> {
    let tags = tags::read(&tag.attributes.value(Kept::Tags).unwrap_or_default());
    if !tags.complete || tag.attributes.was_cut(Kept::Tags) {
        warnings.push("TAGS are cut to 100 tags of 64 bytes".to_owned());
    }
    tags.names
}

fn warn_of_damage(damage: Damage, warnings: &mut Vec<String>) {
    if damage.malformed {
        warnings.push("bytes that are no text in the file's encoding are replaced by U+FFFD".to_owned());
    }
    if damage.nul {
        warnings.push("the character U+0000 is left out".to_owned());
    }
}

fn no_bookmarks(cut: Option<String>) -> String {
    match cut {
        Some(cut) => format!("there is no bookmark in the file: {cut}"),
        None => "there is no bookmark in the file".to_owned(),
    }
}
