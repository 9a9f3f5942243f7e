//! The details of statuses, before tonic reads them.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::HeaderName;

const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// As tonic reads it: gRPC lets senders leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Leaves out what is no base64: tonic panics on it (`Status::from_header_map` of 0.14), and whoever answers at a service's
/// address could so end the connections of callers.
pub(super) fn drop_unreadable(headers: &mut HeaderMap) {
    let is_unreadable = |details: &http::HeaderValue| BASE64.decode(details.as_bytes()).is_err();
    if headers.get(GRPC_STATUS_DETAILS).is_some_and(is_unreadable) {
        headers.remove(GRPC_STATUS_DETAILS);
    }
}
