//! Header values in the settings: read once, so that what could not be sent is a mistake in the file.

use actix_web::http::header::HeaderValue;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nothing for an empty text, which is how a header with a default is left out.
pub(crate) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HeaderValue>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let value = HeaderValue::try_from(&text).map_err(|_| D::Error::custom(format!("{text:?} can be no header")))?;
    Ok(Some(value))
}

/// As [`optional`] reads it.
pub(crate) fn text<S: Serializer>(value: &Option<HeaderValue>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()));
    text.unwrap_or_default().serialize(serializer)
}
