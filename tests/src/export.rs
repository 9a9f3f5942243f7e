//! Makes browser exports of any size, the same ones every time.

use std::fmt::Write as _;

const WORDS: [&str; 24] = [
    "async", "rust", "harbour", "lantern", "orchard", "compiler", "signal", "meadow", "garden", "protocol", "river",
    "kernel", "window", "copper", "voyage", "parser", "winter", "thread", "bridge", "cipher", "paper", "engine",
    "island", "music",
];
const TAGS: [&str; 8] = [
    "reading",
    "work",
    "reference",
    "later",
    "tools",
    "news",
    "recipes",
    "maps",
];
const FIRST_DATE: usize = 1_200_000_000;

/// How large an export is.
#[derive(Clone, Copy, Debug)]
pub struct ExportShape {
    /// Links, each with a URL of its own.
    pub bookmarks: usize,
    /// Folders that hold them, nested three deep.
    pub folders: usize,
}

/// A browser export in the Netscape format, and what it holds.
#[derive(Clone, Debug)]
pub struct Export {
    /// The file.
    pub html: String,
    /// The URLs in it, in their order.
    pub urls: Vec<String>,
}

impl Export {
    /// Makes an export. `name` is part of every URL, so that two names share no link.
    #[must_use]
    pub fn generate(name: &str, shape: ExportShape) -> Self {
        let mut export = Self {
            html: HEAD.to_owned(),
            urls: Vec::with_capacity(shape.bookmarks),
        };
        let per_folder = shape.bookmarks.div_ceil(shape.folders.max(1));
        let mut number = 0;
        for folder in 0..shape.folders {
            let last = (number + per_folder).min(shape.bookmarks);
            export.open_folders(folder);
            (number..last).for_each(|number| export.add_link(name, number));
            export.close_folders();
            number = last;
        }
        export.html.push_str("</DL><p>\n");
        export
    }

    fn open_folders(&mut self, folder: usize) {
        let names = [
            format!("Shelf {}", folder % 7),
            format!("Case {}", folder % 31),
            format!("Folder {folder}, kept"),
        ];
        for name in names {
            self.line(format_args!("<DT><H3 ADD_DATE=\"{FIRST_DATE}\">{name}</H3>\n<DL><p>"));
        }
    }

    fn close_folders(&mut self) {
        self.html.push_str("</DL><p>\n</DL><p>\n</DL><p>\n");
    }

    fn add_link(&mut self, name: &str, number: usize) {
        let url = format!("https://{}.example.com/{name}/{number}", word(number));
        let title = format!(
            "{} {} {} number {number}",
            word(number),
            word(number / 5),
            word(number / 11)
        );
        let (date, tag) = (FIRST_DATE + number, TAGS[number % TAGS.len()]);
        self.line(format_args!(
            "<DT><A HREF=\"{url}\" ADD_DATE=\"{date}\" TAGS=\"{tag},all\">{title}</A>"
        ));
        if number.is_multiple_of(4) {
            self.line(format_args!(
                "<DD>About {} and {} &amp; more",
                word(number / 3),
                word(number / 7)
            ));
        }
        self.urls.push(url);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.html, "{line}").expect("a String takes all that is written");
    }
}

const HEAD: &str = "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n\
    <META HTTP-EQUIV=\"Content-Type\" CONTENT=\"text/html; charset=UTF-8\">\n\
    <TITLE>Bookmarks</TITLE>\n<H1>Bookmarks</H1>\n<DL><p>\n";

fn word(number: usize) -> &'static str {
    WORDS[number % WORDS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_has_as_many_links_and_folders_as_asked_for() {
        let export = Export::generate(
            "shape",
            ExportShape {
                bookmarks: 1000,
                folders: 30,
            },
        );

        assert_eq!(export.urls.len(), 1000);
        assert_eq!(export.html.matches("<A HREF=").count(), 1000);
        assert_eq!(export.html.matches(", kept</H3>").count(), 30);
        assert_eq!(
            export.html.matches("<DL>").count(),
            export.html.matches("</DL>").count()
        );
    }
}
