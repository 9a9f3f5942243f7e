//! The gRPC codes: their names, their HTTP status, their titles.

use actix_web::http::StatusCode;
use tonic::Code;

pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The code of a name, such as `NOT_FOUND`.
pub(crate) fn named(text: &str) -> Option<Code> {
    (0..=16).map(Code::from_i32).find(|code| name(*code) == text)
}

/// The table of google.rpc.Code.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::from_u16(499).expect("499 is between 100 and 999"),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What kind of problem it is, for people; the code says more than the status where both stand for the same.
pub(crate) fn title(status: StatusCode, code: Code) -> &'static str {
    if status != http_status(code) {
        return status.canonical_reason().unwrap_or("Error");
    }
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "The call was cancelled",
        Code::Unknown | Code::Internal => "Internal error",
        Code::InvalidArgument => "The request is not valid",
        Code::DeadlineExceeded => "The call took too long",
        Code::NotFound => "Not found",
        Code::AlreadyExists => "Exists already",
        Code::PermissionDenied => "Not allowed",
        Code::ResourceExhausted => "Too much",
        Code::FailedPrecondition => "Not possible in this state",
        Code::Aborted => "Changed by someone else meanwhile",
        Code::OutOfRange => "Out of range",
        Code::Unimplemented => "Not implemented",
        Code::Unavailable => "Not available at the moment",
        Code::DataLoss => "Data is lost",
        Code::Unauthenticated => "Not authenticated",
    }
}

/// What is said of a call that failed without a reason of the service's own.
pub(crate) fn detail(code: Code) -> &'static str {
    match code {
        Code::Ok => "the call was answered",
        Code::Cancelled => "the call was given up before it was answered",
        Code::Unknown | Code::Internal | Code::DataLoss => "internal error",
        Code::InvalidArgument => "the service does not understand the request",
        Code::DeadlineExceeded => "the service did not answer in time",
        Code::NotFound => "the service has nothing of that name",
        Code::AlreadyExists => "the service has something of that name already",
        Code::PermissionDenied => "the service does not let this caller do this",
        Code::ResourceExhausted => "the service has no room for the call at the moment",
        Code::FailedPrecondition => "the service cannot do this as things are",
        Code::Aborted => "the service gave the call up because of another one",
        Code::OutOfRange => "the request asks for more than there is",
        Code::Unimplemented => "the service does not know the call",
        Code::Unavailable => "the service cannot answer at the moment",
        Code::Unauthenticated => "the service does not know the caller",
    }
}

#[cfg(test)]
mod tests {
    use super::{http_status, name, named};
    use tonic::Code;

    #[test]
    fn each_of_the_17_codes_has_its_name_and_status() {
        let table = [
            (0, "OK", 200),
            (1, "CANCELLED", 499),
            (2, "UNKNOWN", 500),
            (3, "INVALID_ARGUMENT", 400),
            (4, "DEADLINE_EXCEEDED", 504),
            (5, "NOT_FOUND", 404),
            (6, "ALREADY_EXISTS", 409),
            (7, "PERMISSION_DENIED", 403),
            (8, "RESOURCE_EXHAUSTED", 429),
            (9, "FAILED_PRECONDITION", 400),
            (10, "ABORTED", 409),
            (11, "OUT_OF_RANGE", 400),
            (12, "UNIMPLEMENTED", 501),
            (13, "INTERNAL", 500),
            (14, "UNAVAILABLE", 503),
            (15, "DATA_LOSS", 500),
            (16, "UNAUTHENTICATED", 401),
        ];
        for (number, expected_name, expected_status) in table {
            let code = Code::from_i32(number);
            assert_eq!(
                (name(code), http_status(code).as_u16()),
                (expected_name, expected_status)
            );
            assert_eq!(named(expected_name), Some(code));
        }
    }
}
