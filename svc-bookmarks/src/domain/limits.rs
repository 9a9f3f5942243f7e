//! How much one bookmark may hold. Sizes are in bytes of UTF-8.

pub const URL_BYTES: usize = 8_192;
pub const TITLE_BYTES: usize = 1_024;
pub const DESCRIPTION_BYTES: usize = 65_536;
pub const NOTE_BYTES: usize = 65_536;
pub const TAG_BYTES: usize = 64;
pub const TAGS: usize = 100;
pub const COLLECTIONS: usize = 100;
pub const COLLECTION_NAME_BYTES: usize = 255;
pub const COLLECTION_DEPTH: usize = 64;
/// All of a bookmark's texts together: it must fit into one event, and NATS takes messages of at most 1 MiB.
pub const BOOKMARK_BYTES: usize = 512 * 1_024;
pub const BATCH_ID_BYTES: usize = 128;
pub const BATCH_ITEMS: usize = 500;
