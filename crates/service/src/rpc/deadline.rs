//! How long a call may take: what its policy allows, or less when the caller says so by `grpc-timeout`.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::{policy::Method, status};

/// Tonic runs its own timers, around ours and at the caller, and they say CANCELLED without details. Ours is earlier by
/// this much, or by a tenth of a short time.
const AHEAD_OF_TONIC: Duration = Duration::from_millis(10);

/// The moment when a call must be over, and how long that is from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    limit: Duration,
}

impl Deadline {
    /// The deadline of a call that starts now.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let asked = headers
            .get("grpc-timeout")
            .and_then(|value| parse(value.to_str().ok()?));
        let limit = match asked {
            Some(asked) => (asked - AHEAD_OF_TONIC.min(asked / 10)).min(method.timeout),
            None => method.timeout,
        };
        Self {
            at: Instant::now() + limit,
            limit,
        }
    }

    /// DEADLINE_EXCEEDED when the work is not done in time; the work is then dropped.
    pub(super) async fn hold<T>(self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let outcome = tokio::time::timeout_at(self.at, work).await;
        outcome.unwrap_or_else(|_| Err(self.exceeded()))
    }

    /// The status of a call that took too long.
    pub(super) fn exceeded(self) -> Status {
        let message = format!("not done within {} ms", self.limit.as_millis());
        status::with_reason(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, &[])
    }
}

/// `grpc-timeout`: at most 8 digits and a unit. A malformed one counts as none.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Access;

    fn limit(asked: Option<&'static str>) -> Duration {
        let method = Method {
            service: "test.Service".into(),
            name: "Get".into(),
            full_name: "test.Service/Get".into(),
            access: Access::Public,
            timeout: Duration::from_secs(5),
            streams: false,
        };
        let asked = asked.map(|text| {
            (
                http::HeaderName::from_static("grpc-timeout"),
                http::HeaderValue::from_static(text),
            )
        });
        Deadline::of(&method, &asked.into_iter().collect()).limit
    }

    #[test]
    fn the_shorter_of_policy_and_caller_counts() {
        assert_eq!(limit(None), Duration::from_secs(5));
        assert_eq!(limit(Some("1H")), Duration::from_secs(5));
        assert_eq!(limit(Some("2S")), Duration::from_millis(1990));
        assert_eq!(limit(Some("20m")), Duration::from_millis(18));
        assert_eq!(limit(Some("0n")), Duration::ZERO);
        assert_eq!(limit(Some("soon")), Duration::from_secs(5));
    }

    #[test]
    fn timeouts_are_read_in_every_unit() {
        for (text, expected) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("5S", Duration::from_secs(5)),
            ("250m", Duration::from_millis(250)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("7n", Duration::from_nanos(7)),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn malformed_timeouts_count_as_none() {
        for text in ["", "S", "5", "5s", "-5S", "+5S", "123456789S", "5Sé", "1.5S"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
