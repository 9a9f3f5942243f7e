//! How a connection failed a call, and what the service has seen of the call by then.

use std::error::Error;

use tonic::{ConnectError, Status};

/// Why a call has no answer of the service's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ConnectionFailure {
    /// No connection could be made: the service has not seen the call.
    Unreachable,
    /// The connection was being closed, or the stream refused: the service has not worked on the call.
    NotProcessed,
    /// The connection broke under all the calls on it; the service may have worked on this one.
    Broken,
    /// Something broke the call off, and it alone; the service may have worked on it.
    Reset,
}

impl ConnectionFailure {
    /// Nothing for what a service says itself: only a status that was made here, from an error, has a source.
    pub(crate) fn of(status: &Status) -> Option<Self> {
        status.source().map(Self::of_source)
    }

    fn of_source(mut error: &(dyn Error + 'static)) -> Self {
        loop {
            if error.is::<ConnectError>() {
                return Self::Unreachable;
            }
            if let Some(error) = error.downcast_ref::<h2::Error>() {
                return Self::of_http2(error);
            }
            match error.source() {
                Some(source) => error = source,
                None => return Self::Reset,
            }
        }
    }

    fn of_http2(error: &h2::Error) -> Self {
        if was_not_processed(error) {
            Self::NotProcessed
        } else if error.is_io() || error.is_go_away() {
            Self::Broken
        } else {
            Self::Reset
        }
    }
}

/// The peer refused the stream before any work, or said by GOAWAY which streams it has seen, and this is none of them (h2
/// fails no other stream with that error).
fn was_not_processed(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn failure(source: impl Error + Send + Sync + 'static) -> Option<ConnectionFailure> {
        let mut status = Status::unavailable("failed");
        status.set_source(Arc::new(source));
        ConnectionFailure::of(&status)
    }

    #[test]
    fn what_a_service_says_itself_is_none() {
        assert_eq!(ConnectionFailure::of(&Status::unavailable("not now")), None);
    }

    #[test]
    fn without_a_connection_the_service_has_seen_nothing() {
        let refused = ConnectError("connection refused".into());

        assert_eq!(failure(refused), Some(ConnectionFailure::Unreachable));
    }

    #[test]
    fn a_reset_is_only_harmless_when_the_peer_refuses() {
        // Made here rather than by the peer, and therefore not proof of anything.
        for reason in [h2::Reason::REFUSED_STREAM, h2::Reason::INTERNAL_ERROR] {
            assert_eq!(failure(h2::Error::from(reason)), Some(ConnectionFailure::Reset));
        }
    }
}
