//! The parser as a whole: files as programs write them, damage, and properties.

mod damage;
mod files;
mod properties;

use super::*;

/// The rows of a file that is read in one piece.
fn rows(file: impl AsRef<[u8]>) -> Vec<Row> {
    parse(file.as_ref(), usize::MAX).unwrap()
}

fn failure(file: impl AsRef<[u8]>) -> Failure {
    parse(file.as_ref(), usize::MAX).unwrap_err()
}

fn parse(file: &[u8], chunk_bytes: usize) -> Result<Vec<Row>, Failure> {
    let mut parser = Parser::new(1_000);
    let mut rows = Vec::new();
    for chunk in file.chunks(chunk_bytes.min(file.len().max(1))) {
        parser.push(chunk, &mut rows)?;
    }
    parser.finish(&mut rows)?;
    Ok(rows)
}

/// A list of links alone, as a file.
fn list(links: &str) -> String {
    format!("<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n{links}\n</DL><p>\n")
}

fn one(link: &str) -> Row {
    let mut rows = rows(list(link));
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}
