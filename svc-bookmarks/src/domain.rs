//! What a bookmark is, which URLs are the same, and how two savings of a link become one: pure, without I/O.

mod bookmark;
mod collection;
mod fold;
pub mod limits;
mod merge;
mod order;
mod tag;
mod url;

pub use self::{
    bookmark::{Bookmark, Content, ImportedLink, collections_differ, cut, without_nul},
    collection::CollectionPath,
    fold::{fold, fold_character},
    merge::{MergeBatch, Outcome},
    order::Order,
    tag::{Tag, united_tags},
    url::{Identity, SavedUrl},
};
