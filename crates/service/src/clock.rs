//! The wall clock and new ids, read at the boundary alone; everything inside takes them as arguments.

use time::OffsetDateTime;

/// The current moment, in UTC, in whole microseconds: Postgres keeps no more, and what is answered before it is stored
/// must be what is read back.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc().truncate_to_microsecond()
}
