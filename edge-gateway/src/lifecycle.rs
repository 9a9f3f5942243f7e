//! RPCs that go away: since when they should not be used (RFC 9745), and when they end (RFC 8594).

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use anyhow::{Context, ensure};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");
/// The `full-date` of RFC 3339.
const FULL_DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
/// The `IMF-fixdate` of RFC 9110.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// What the contract says of an RPC that goes away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lifecycle {
    /// Nothing when the contract says only that it is so.
    pub(crate) deprecated_since: Option<OffsetDateTime>,
    pub(crate) sunset: Option<OffsetDateTime>,
}

/// The headers of an RPC that goes away, on all its answers.
pub(crate) struct Notice {
    deprecation: HeaderValue,
    sunset: Option<HeaderValue>,
    link: HeaderValue,
}

impl Lifecycle {
    /// Nothing for an RPC that stays.
    pub(crate) fn read(is_deprecated: bool, deprecated_since: &str, sunset: &str) -> anyhow::Result<Option<Self>> {
        let deprecated_since = day(deprecated_since).context("reading `deprecated_since`")?;
        let sunset = day(sunset).context("reading `sunset`")?;
        if !is_deprecated && sunset.is_none() {
            ensure!(
                deprecated_since.is_none(),
                "`deprecated_since` needs `option deprecated = true`"
            );
            return Ok(None);
        }
        if let (Some(since), Some(sunset)) = (deprecated_since, sunset) {
            ensure!(since <= sunset, "`sunset` is before `deprecated_since`");
        }
        Ok(Some(Self {
            deprecated_since,
            sunset,
        }))
    }

    /// `operation` is where `/docs` says more.
    pub(crate) fn notice(&self, operation: &str) -> anyhow::Result<Notice> {
        // RFC 9745 has no word for "long since": any day that has passed says so.
        let since = self.deprecated_since.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let sunset = self
            .sunset
            .map(|day| anyhow::Ok(HeaderValue::try_from(day.format(HTTP_DATE)?)?));
        let link = format!("</docs#{operation}>; rel=\"deprecation\"; type=\"text/html\"");
        Ok(Notice {
            deprecation: HeaderValue::try_from(format!("@{}", since.unix_timestamp()))?,
            sunset: sunset.transpose()?,
            link: HeaderValue::try_from(link)?,
        })
    }
}

impl Notice {
    /// Puts them into the head of an answer.
    pub(crate) fn stamp(&self, headers: &mut HeaderMap) {
        headers.insert(DEPRECATION, self.deprecation.clone());
        if let Some(sunset) = &self.sunset {
            headers.insert(SUNSET, sunset.clone());
        }
        headers.append(header::LINK, self.link.clone());
    }
}

/// A day as the contract has it.
pub(crate) fn full_date(day: OffsetDateTime) -> String {
    day.format(FULL_DATE)
        .expect("what was read as a day can be written as one")
}

/// The beginning of a day, in UTC; nothing for an empty text.
fn day(text: &str) -> anyhow::Result<Option<OffsetDateTime>> {
    if text.is_empty() {
        return Ok(None);
    }
    let date = Date::parse(text, FULL_DATE).with_context(|| format!("{text:?} is no date such as 2027-01-31"))?;
    Ok(Some(PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(is_deprecated: bool, since: &str, sunset: &str) -> Option<HeaderMap> {
        let lifecycle = Lifecycle::read(is_deprecated, since, sunset).unwrap()?;
        let mut headers = HeaderMap::new();
        lifecycle.notice("Library_GetBook").unwrap().stamp(&mut headers);
        Some(headers)
    }

    #[test]
    fn an_rpc_that_stays_says_nothing() {
        assert!(stamped(false, "", "").is_none());
    }

    #[test]
    fn dates_are_written_as_the_rfcs_want_them() {
        let headers = stamped(true, "2026-01-01", "2027-01-31").unwrap();

        assert_eq!(headers.get("deprecation").unwrap(), "@1767225600");
        assert_eq!(headers.get("sunset").unwrap(), "Sun, 31 Jan 2027 00:00:00 GMT");
        assert_eq!(
            headers.get("link").unwrap(),
            "</docs#Library_GetBook>; rel=\"deprecation\"; type=\"text/html\""
        );
    }

    #[test]
    fn what_ends_is_deprecated_whether_that_is_said_or_not() {
        assert_eq!(
            stamped(false, "", "2027-01-31").unwrap().get("deprecation").unwrap(),
            "@0"
        );
        assert!(!stamped(true, "", "").unwrap().contains_key("sunset"));
    }

    #[test]
    fn what_is_no_date_or_cannot_be_is_told() {
        for (is_deprecated, since, sunset) in [
            (true, "", "tomorrow"),
            (true, "", "2027-02-30"),
            (true, "", "2027-1-31"),
            (true, "", "2027-01-31T00:00:00Z"),
            (true, "01.02.2026", ""),
            (true, "2027-02-01", "2027-01-31"),
            (false, "2027-01-31", ""),
        ] {
            assert!(
                Lifecycle::read(is_deprecated, since, sunset).is_err(),
                "{since} {sunset}"
            );
        }
    }
}
