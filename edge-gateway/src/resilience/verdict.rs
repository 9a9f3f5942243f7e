//! What the end of a call says: of the service, and of whether the call may be sent again.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::upstream::ConnectionFailure;

/// gRPC's way for a service to say when to come again, in milliseconds; anything but a number means never.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Why a call has no answer of use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// No connection could be made: the service has not seen the call.
    Unreachable,
    /// The connection was being closed, or the stream refused: the service has not worked on the call.
    NotProcessed,
    /// The connection broke, or the call on it; the service may have worked on the call.
    Broken,
    /// The service says that it cannot answer at the moment.
    Unavailable,
    /// The service is at work, and turns away what is too much: it says when to come again, by gRPC's pushback.
    Shed,
    /// The service is broken inside.
    Internal,
    TimedOut,
    /// It is an answer: the service does what it should.
    None,
}

impl Fault {
    pub(super) fn of(status: &Status) -> Self {
        if crate::problem::is_timeout(status) {
            return Self::TimedOut;
        }
        match ConnectionFailure::of(status) {
            Some(ConnectionFailure::Unreachable) => return Self::Unreachable,
            Some(ConnectionFailure::NotProcessed) => return Self::NotProcessed,
            Some(ConnectionFailure::Broken | ConnectionFailure::Reset) => return Self::Broken,
            None => {}
        }
        match status.code() {
            Code::Unavailable if status.metadata().contains_key(PUSHBACK) => Self::Shed,
            Code::Unavailable => Self::Unavailable,
            Code::Internal | Code::Unknown => Self::Internal,
            Code::DeadlineExceeded => Self::TimedOut,
            Code::Ok
            | Code::Cancelled
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss
            | Code::Unauthenticated => Self::None,
        }
    }

    /// Whether the service may have done what was asked although it has not said so.
    pub(super) fn may_be_done(self) -> bool {
        match self {
            Self::Broken | Self::Unavailable | Self::Internal | Self::TimedOut => true,
            Self::Unreachable | Self::NotProcessed | Self::Shed | Self::None => false,
        }
    }

    /// Whether a second attempt may help. `is_harmless`: the service may work on the call twice.
    pub(super) fn may_be_repeated(self, is_harmless: bool) -> bool {
        match self {
            Self::Unreachable | Self::NotProcessed => true,
            Self::Broken | Self::Unavailable | Self::Shed => is_harmless,
            // There is no time left, and what fails inside fails again.
            Self::TimedOut | Self::Internal | Self::None => false,
        }
    }
}

/// When a service wants to be called again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pushback {
    None,
    After(Duration),
    Never,
}

impl Pushback {
    pub(super) fn of(status: &Status) -> Self {
        if let Some(value) = status.metadata().get(PUSHBACK) {
            let milliseconds = value.to_str().ok().and_then(|text| text.parse().ok());
            return milliseconds.map_or(Self::Never, |milliseconds| {
                Self::After(Duration::from_millis(milliseconds))
            });
        }
        match status.get_details_retry_info().and_then(|info| info.retry_delay) {
            Some(delay) => Self::After(delay),
            None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn only_what_the_service_is_to_blame_for_is_a_fault() {
        let of = |code| Fault::of(&Status::new(code, "x"));

        assert_eq!(of(Code::Unavailable), Fault::Unavailable);
        assert_eq!(of(Code::DeadlineExceeded), Fault::TimedOut);
        assert_eq!(
            (of(Code::Internal), of(Code::Unknown)),
            (Fault::Internal, Fault::Internal)
        );
        for code in [
            Code::NotFound,
            Code::InvalidArgument,
            Code::Aborted,
            Code::PermissionDenied,
            Code::ResourceExhausted,
        ] {
            assert_eq!(of(code), Fault::None, "{code:?}");
        }
    }

    #[test]
    fn what_was_not_worked_on_may_be_repeated_whatever_it_is() {
        for (fault, always, when_harmless) in [
            (Fault::Unreachable, true, true),
            (Fault::NotProcessed, true, true),
            (Fault::Broken, false, true),
            (Fault::Unavailable, false, true),
            (Fault::Internal, false, false),
            (Fault::TimedOut, false, false),
            (Fault::None, false, false),
        ] {
            assert_eq!(fault.may_be_repeated(false), always, "{fault:?}");
            assert_eq!(fault.may_be_repeated(true), when_harmless, "{fault:?}");
        }
    }

    #[test]
    fn only_what_the_service_has_not_seen_or_has_answered_is_known_not_to_be_done() {
        for (fault, may_be_done) in [
            (Fault::Unreachable, false),
            (Fault::NotProcessed, false),
            (Fault::Broken, true),
            (Fault::Unavailable, true),
            (Fault::Internal, true),
            (Fault::TimedOut, true),
            (Fault::None, false),
        ] {
            assert_eq!(fault.may_be_done(), may_be_done, "{fault:?}");
        }
    }

    #[test]
    fn a_service_may_say_when_and_that_it_wants_no_second_attempt() {
        let with_metadata = |value: &'static str| {
            let mut status = Status::unavailable("x");
            status.metadata_mut().insert(PUSHBACK, value.parse().unwrap());
            Pushback::of(&status)
        };
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(Duration::from_secs(2)));
        let with_details = Status::with_error_details(Code::Unavailable, "x", details);

        assert_eq!(with_metadata("120"), Pushback::After(Duration::from_millis(120)));
        assert_eq!(with_metadata("-1"), Pushback::Never);
        assert_eq!(Pushback::of(&with_details), Pushback::After(Duration::from_secs(2)));
        assert_eq!(Pushback::of(&Status::unavailable("x")), Pushback::None);
    }
}
