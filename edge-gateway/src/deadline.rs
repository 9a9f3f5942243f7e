//! How long a call may take: what the policy says, or less when the caller asks for less.

use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderMap, HeaderName};

use crate::exchange::header;
use crate::problem::Problem;

/// Seconds that the caller is ready to wait, such as `1.5`.
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("request-timeout");

#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn new(policy: Duration, headers: &HeaderMap) -> Result<Self, Problem> {
        let timeout = match header(headers, REQUEST_TIMEOUT) {
            None => policy,
            Some(text) => {
                let seconds = text.trim().parse().ok().filter(|seconds: &f64| *seconds > 0.0);
                let asked = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                asked.ok_or_else(not_a_timeout)?.min(policy)
            }
        };
        Ok(Self::after(timeout))
    }

    pub(crate) fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    pub(crate) fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Waits no longer than until the deadline.
    pub(crate) async fn limit<T>(self, work: impl Future<Output = T>) -> Result<T, Problem> {
        tokio::time::timeout_at(self.0.into(), work)
            .await
            .map_err(|_| Problem::deadline_exceeded())
    }
}

/// As gRPC writes it: at most eight digits and a unit, never more than it is.
pub(crate) fn grpc_timeout(timeout: Duration) -> String {
    const LARGEST: u128 = 99_999_999;
    let (microseconds, milliseconds) = (timeout.as_micros(), timeout.as_millis());
    if microseconds <= LARGEST {
        format!("{microseconds}u")
    } else {
        format!("{}m", milliseconds.min(LARGEST))
    }
}

fn not_a_timeout() -> Problem {
    Problem::bad_request(
        "INVALID_REQUEST_TIMEOUT",
        "Request-Timeout is not a number of seconds above zero",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_eight_digits_and_is_never_longer_than_it_was() {
        for (timeout, written) in [
            (Duration::from_nanos(1_999), "1u"),
            (Duration::from_secs(5), "5000000u"),
            (Duration::from_micros(99_999_999), "99999999u"),
            (Duration::from_micros(100_000_000), "100000m"),
            (Duration::MAX, "99999999m"),
        ] {
            assert_eq!(grpc_timeout(timeout), written);
        }
    }
}
