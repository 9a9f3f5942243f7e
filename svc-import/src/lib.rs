//! Importing files of bookmarks.

mod failure;
mod netscape;
