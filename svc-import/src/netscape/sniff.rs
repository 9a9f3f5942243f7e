//! What a file is, told by its first bytes.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use crate::failure::{Failure, Reason};

/// Formats that people upload by mistake, with the bytes that they begin with.
const OTHER_FORMATS: [(&[u8], &str); 12] = [
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1F\x8B", "a gzip archive"),
    (b"\x28\xB5\x2F\xFD", "a Zstandard archive"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"mozLz40\0", "a compressed Firefox backup"),
    (b"bplist00", "a binary property list"),
    (b"\x89PNG", "a PNG image"),
    (b"\xFF\xD8\xFF", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7FELF", "a program"),
];

/// Fails for a file that is well known to be something else, saying what it is.
pub(crate) fn refuse_other_formats(window: &[u8]) -> Result<(), Failure> {
    for (magic, name) in OTHER_FORMATS {
        if window.starts_with(magic) {
            return Err(not_a_bookmark_file(&format!(
                "the file is {name}, not an HTML file of bookmarks"
            )));
        }
    }
    if window.trim_ascii_start().starts_with(b"{") {
        return Err(not_a_bookmark_file(
            "the file looks like JSON; export the bookmarks as HTML",
        ));
    }
    Ok(())
}

/// Text of mostly Latin letters has a zero in every other byte when it is UTF-16.
pub(crate) fn utf_16_by_zero_bytes(window: &[u8]) -> Option<&'static Encoding> {
    let zeros = |offset: usize| window.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let pairs = window.len() / 2;
    if pairs < 2 {
        return None;
    }
    let (even, odd) = (zeros(0), zeros(1));
    let (many, few) = (pairs * 2 / 5, pairs / 20);
    if odd > many && even <= few {
        Some(UTF_16LE)
    } else if even > many && odd <= few {
        Some(UTF_16BE)
    } else {
        None
    }
}

fn not_a_bookmark_file(description: &str) -> Failure {
    Failure::new(Reason::NotABookmarkFile, 1, description)
}
