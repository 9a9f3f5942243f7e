//! Timestamps and durations as text, by the rules of ProtoJSON.

use std::ops::Range;

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// From 0001-01-01T00:00:00Z up to and without 10000-01-01T00:00:00Z.
const TIMESTAMP_SECONDS: Range<i64> = -62_135_596_800..253_402_300_800;
/// About 10,000 years.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

/// Appends RFC 3339 text in UTC, with as many groups of three fractional digits as needed. Nothing if out of range.
pub(crate) fn push_timestamp(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> Option<()> {
    let nanos = i64::from(nanos);
    let seconds = seconds.checked_add(nanos.div_euclid(NANOS_PER_SECOND))?;
    if !TIMESTAMP_SECONDS.contains(&seconds) {
        return None;
    }
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    let mut text = *b"0000-00-00T00:00:00";
    put_digits(&mut text[0..4], year);
    put_digits(&mut text[5..7], month);
    put_digits(&mut text[8..10], day);
    put_digits(&mut text[11..13], second_of_day / 3600);
    put_digits(&mut text[14..16], second_of_day / 60 % 60);
    put_digits(&mut text[17..19], second_of_day % 60);
    out.extend_from_slice(&text);
    push_fraction(out, nanos.rem_euclid(NANOS_PER_SECOND));
    out.push(b'Z');
    Some(())
}

/// Appends seconds with an `s` behind. Nothing if out of range or if seconds and nanos have different signs.
pub(crate) fn push_duration(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> Option<()> {
    let nanos = i64::from(nanos);
    if seconds.checked_abs()? > MAX_DURATION_SECONDS
        || nanos.abs() >= NANOS_PER_SECOND
        || seconds.signum() * nanos.signum() < 0
    {
        return None;
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(seconds.abs()).as_bytes());
    push_fraction(out, nanos.abs());
    out.push(b's');
    Some(())
}

/// Seconds and nanos of RFC 3339 text with capital `T` and `Z` or an offset.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let mut text = Scanner { rest: text.as_bytes() };
    let year = text.digits(4)?;
    text.expect(b'-')?;
    let month = text.digits(2).filter(|month| (1..=12).contains(month))?;
    text.expect(b'-')?;
    let day = text
        .digits(2)
        .filter(|day| (1..=days_in_month(year, month)).contains(day))?;
    text.expect(b'T')?;
    let hour = text.digits(2).filter(|&hour| hour < 24)?;
    text.expect(b':')?;
    let minute = text.digits(2).filter(|&minute| minute < 60)?;
    text.expect(b':')?;
    // A leap second is the second before it, since Unix time has no other.
    let second = text.digits(2).filter(|&second| second <= 60)?.min(59);
    let nanos = text.fraction()?;
    let offset = text.offset()?;
    if !text.rest.is_empty() {
        return None;
    }
    let days = days_from_civil(year, month, day);
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset;
    TIMESTAMP_SECONDS.contains(&seconds).then_some((seconds, nanos))
}

/// Seconds and nanos of text such as `-1.5s`.
pub(crate) fn parse_duration(text: &str) -> Option<(i64, i32)> {
    let number = text.strip_suffix('s')?;
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => (-1, number),
        None => (1, number),
    };
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let mut fraction = Scanner {
        rest: number.as_bytes().get(digits..)?,
    };
    let seconds: i64 = number[..digits].parse().ok()?;
    let nanos = fraction.fraction()?;
    let valid = fraction.rest.is_empty() && seconds <= MAX_DURATION_SECONDS;
    valid.then_some((sign as i64 * seconds, sign * nanos))
}

struct Scanner<'t> {
    rest: &'t [u8],
}

impl Scanner<'_> {
    fn expect(&mut self, byte: u8) -> Option<()> {
        let (&first, rest) = self.rest.split_first()?;
        if first != byte {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(digit - b'0');
        }
        self.rest = rest;
        Some(value)
    }

    /// Nanos from an optional point with one to nine digits.
    fn fraction(&mut self) -> Option<i32> {
        if self.expect(b'.').is_none() {
            return Some(0);
        }
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&count) {
            return None;
        }
        let value = self.digits(count)?;
        i32::try_from(value * 10_i64.pow(9 - count as u32)).ok()
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.rest.first()? {
            b'Z' => 0,
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        if sign == 0 {
            return Some(0);
        }
        let hours = self.digits(2).filter(|&hours| hours < 24)?;
        self.expect(b':')?;
        let minutes = self.digits(2).filter(|&minutes| minutes < 60)?;
        Some(sign * (hours * 3600 + minutes * 60))
    }
}

fn put_digits(digits: &mut [u8], value: i64) {
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

fn push_fraction(out: &mut Vec<u8>, nanos: i64) {
    let (value, width) = match nanos {
        0 => return,
        nanos if nanos % 1_000_000 == 0 => (nanos / 1_000_000, 3),
        nanos if nanos % 1_000 == 0 => (nanos / 1_000, 6),
        nanos => (nanos, 9),
    };
    let mut digits = [b'0'; 9];
    put_digits(&mut digits[..width], value);
    out.push(b'.');
    out.extend_from_slice(&digits[..width]);
}

/// Year, month and day of a day since 1970-01-01, by <https://howardhinnant.github.io/date_algorithms.html>: years
/// start in March there, so that the leap day is a year's last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The reverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap_year => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
