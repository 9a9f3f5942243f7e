//! The wall clock and new ids, read at the boundary alone; everything inside takes them as arguments.

use time::OffsetDateTime;

/// The current moment, in UTC.
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
