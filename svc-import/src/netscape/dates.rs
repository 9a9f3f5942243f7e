//! Dates as programs write them into bookmark files.

use time::{
    Date, OffsetDateTime, PrimitiveDateTime,
    format_description::{
        StaticFormatDescription,
        well_known::{Rfc2822, Rfc3339},
    },
    macros::format_description,
};

/// Years after this one are taken for damage.
const LAST_YEAR: i32 = 2100;

/// Microseconds between 1601, where Chrome's own clock starts, and 1970.
const WEBKIT_EPOCH_MICROSECONDS: i128 = 11_644_473_600_000_000;

const APACHE_LOG: StaticFormatDescription = format_description!(
    "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
);
const DATE_AND_TIME: StaticFormatDescription = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const DAY: StaticFormatDescription = format_description!("[year]-[month]-[day]");

/// What an attribute with a date holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadDate {
    /// Nothing, or the zero that programs write for "unknown".
    Absent,
    /// A moment.
    At(OffsetDateTime),
    /// Something else.
    Unreadable,
}

/// Reads seconds, milliseconds or microseconds since 1970, microseconds since 1601, or one of the usual text forms.
pub(crate) fn read(text: &str) -> ReadDate {
    let text = text.trim();
    if text.is_empty() {
        return ReadDate::Absent;
    }
    let moment = match number(text) {
        Some(0) => return ReadDate::Absent,
        Some(number) => moment_of_number(number),
        None => moment_of_text(text),
    };
    match moment {
        Some(moment) if (1970..=LAST_YEAR).contains(&moment.year()) => ReadDate::At(moment),
        _ => ReadDate::Unreadable,
    }
}

/// The whole part: Safari's plists and some converters write fractions of a second.
fn number(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    whole.parse().ok()
}

/// The unit is told by the size: each range begins where the smaller unit would be beyond every bookmark's life.
fn moment_of_number(number: i64) -> Option<OffsetDateTime> {
    let number = i128::from(number);
    let microseconds = match number {
        1..100_000_000_000 => number * 1_000_000,
        100_000_000_000..100_000_000_000_000 => number * 1_000,
        100_000_000_000_000..10_000_000_000_000_000 => number,
        10_000_000_000_000_000..100_000_000_000_000_000 => number - WEBKIT_EPOCH_MICROSECONDS,
        _ => return None,
    };
    OffsetDateTime::from_unix_timestamp_nanos(microseconds * 1_000).ok()
}

fn moment_of_text(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &Rfc2822))
        .or_else(|_| OffsetDateTime::parse(text, APACHE_LOG))
        .or_else(|_| PrimitiveDateTime::parse(text, DATE_AND_TIME).map(PrimitiveDateTime::assume_utc))
        .or_else(|_| Date::parse(text, DAY).map(|day| day.midnight().assume_utc()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> i64 {
        match read(text) {
            ReadDate::At(moment) => moment.unix_timestamp(),
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn seconds_milliseconds_and_microseconds_are_told_apart() {
        for text in [
            "1456433748",
            "1456433748000",
            "1456433748000000",
            " 1456433748 ",
            "1456433748.25",
        ] {
            assert_eq!(seconds(text), 1_456_433_748, "{text}");
        }
    }

    #[test]
    fn chromes_own_clock_is_read() {
        assert_eq!(seconds("13100907348000000"), 1_456_433_748);
    }

    #[test]
    fn text_forms_are_read() {
        assert_eq!(seconds("10/Oct/2000:13:55:36 +0300"), 971_175_336);
        assert_eq!(seconds("2016-02-25T20:55:48Z"), 1_456_433_748);
        assert_eq!(seconds("2016-02-25 20:55:48"), 1_456_433_748);
        assert_eq!(seconds("Thu, 25 Feb 2016 20:55:48 +0000"), 1_456_433_748);
        assert_eq!(seconds("2016-02-25"), 1_456_358_400);
    }

    #[test]
    fn nothing_and_zero_are_absent() {
        for text in ["", "  ", "0", "0.0"] {
            assert_eq!(read(text), ReadDate::Absent, "{text}");
        }
    }

    #[test]
    fn damage_is_unreadable() {
        for text in [
            "-1",
            "-1456433748",
            "1e18",
            "1000000000000000000",
            "NaN",
            "inf",
            "yesterday",
            "99999999999999999999",
            "2016-13-45",
            "99999999999",
        ] {
            assert_eq!(read(text), ReadDate::Unreadable, "{text}");
        }
    }
}
