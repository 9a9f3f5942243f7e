//! Moments on the wire: `google.protobuf.Timestamp` to and from `OffsetDateTime`.

use prost_types::Timestamp;
use time::{Date, Month, OffsetDateTime};

use crate::status::Violation;

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// A moment as its message.
pub fn to_proto(moment: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: moment.unix_timestamp(),
        nanos: i32::try_from(moment.nanosecond()).expect("a second has fewer nanoseconds than i32 holds"),
    }
}

/// A message as a moment from year 1 to 9999, the range that protobuf allows.
pub fn from_proto(field: &str, timestamp: &Timestamp) -> Result<OffsetDateTime, Violation> {
    let violation = || Violation::new(field, "must be a moment from year 1 to 9999");
    if !(0..1_000_000_000).contains(&timestamp.nanos) {
        return Err(violation());
    }
    let nanoseconds = i128::from(timestamp.seconds) * NANOSECONDS_PER_SECOND + i128::from(timestamp.nanos);
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map_err(|_| violation())?;
    let first_day = Date::from_calendar_date(1, Month::January, 1).expect("the first day exists");
    if moment.date() < first_day {
        return Err(violation());
    }
    Ok(moment)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn moments_survive_the_way_there_and_back() {
        for moment in [
            datetime!(1970-01-01 00:00 UTC),
            datetime!(0001-01-01 00:00 UTC),
            datetime!(1969-12-31 23:59:59.5 UTC),
            datetime!(9999-12-31 23:59:59.999999999 UTC),
        ] {
            assert_eq!(from_proto("time", &to_proto(moment)), Ok(moment));
        }
    }

    #[test]
    fn moments_out_of_range_are_violations() {
        for timestamp in [
            Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            },
            Timestamp {
                seconds: i64::MIN,
                nanos: 0,
            },
            Timestamp {
                seconds: -62_135_596_801,
                nanos: 0,
            },
            Timestamp { seconds: 0, nanos: -1 },
            Timestamp {
                seconds: 0,
                nanos: 1_000_000_000,
            },
        ] {
            assert_eq!(
                from_proto("since", &timestamp).unwrap_err().field,
                "since",
                "{timestamp:?}"
            );
        }
    }
}
