//! All SQL. Reads say whose rows they read in the function they call; writes run in a transaction of the owner.

mod batches;
mod collections;
mod erase;
mod lists;
mod reads;
mod rebuild;
mod writes;

pub use self::{
    batches::{keep_response, response_of},
    collections::{CollectionIds, ensure_collections},
    erase::erase,
    lists::{list_collections, list_tags},
    reads::{Cursor, count, find_by_identities, find_for_update, get, get_many, list, ping},
    rebuild::{next_owners, page_by_id, version_of},
    writes::{advance, delete, insert, lock, update},
};
