//! Text on its way from a file into a bookmark: bounded while it is gathered, tidied when it is whole.

use super::entities;

/// Text being gathered, never longer than its limit.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    text: String,
    limit_bytes: usize,
    cut: bool,
}

impl Capture {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            text: String::new(),
            limit_bytes,
            cut: false,
        }
    }

    pub(crate) fn push(&mut self, more: &str) {
        let room = self.limit_bytes - self.text.len();
        let fitting = prefix(more, room);
        self.text.push_str(fitting);
        self.cut |= fitting.len() < more.len();
    }

    /// As it stands in the file.
    pub(crate) fn raw(&self) -> &str {
        &self.text
    }

    pub(crate) fn was_cut(&self) -> bool {
        self.cut
    }

    /// One line: a title or the name of a folder.
    pub(crate) fn line(&self, limit_bytes: usize) -> Cut {
        Cut::new(&one_line(&entities::decode_prose(&self.text)), limit_bytes, self.cut)
    }

    /// Lines as they stand, without the indentation of the file around them.
    pub(crate) fn lines(&self, limit_bytes: usize) -> Cut {
        Cut::new(&tidy_lines(&entities::decode_prose(&self.text)), limit_bytes, self.cut)
    }
}

/// Text that fits, and whether something had to go for that.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) text: String,
    pub(crate) was_cut: bool,
}

impl Cut {
    pub(crate) fn new(text: &str, limit_bytes: usize, was_cut: bool) -> Self {
        let fitting = prefix(text, limit_bytes);
        Self {
            was_cut: was_cut || fitting.len() < text.len(),
            text: fitting.to_owned(),
        }
    }
}

/// The longest beginning of at most `limit_bytes` that ends between two characters.
pub(crate) fn prefix(text: &str, limit_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(limit_bytes)]
}

/// Trimmed; white space around a line break is the file's layout and becomes one space, other white space is the user's.
fn one_line(text: &str) -> String {
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

fn tidy_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(text: &str) -> Capture {
        let mut capture = Capture::new(64);
        capture.push(text);
        capture
    }

    #[test]
    fn a_line_keeps_the_users_spaces_and_loses_the_files() {
        assert_eq!(
            capture("\n  Linux, Unix OS,Other   stuff \n").line(64).text,
            "Linux, Unix OS,Other   stuff"
        );
        assert_eq!(capture("wrapped\r\n      title").line(64).text, "wrapped title");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(
            capture("  one \n    two\n\n three\n  ").lines(64).text,
            "one\ntwo\n\nthree"
        );
    }

    #[test]
    fn too_much_is_cut_between_characters() {
        let cut = capture("ääää").line(5);

        assert_eq!(
            cut,
            Cut {
                text: "ää".to_owned(),
                was_cut: true
            }
        );
    }

    #[test]
    fn a_capture_never_grows_beyond_its_limit() {
        let mut capture = Capture::new(3);

        capture.push("ab");
        capture.push("cd");
        capture.push("ef");

        assert_eq!(
            capture.line(64),
            Cut {
                text: "abc".to_owned(),
                was_cut: true
            }
        );
    }
}
