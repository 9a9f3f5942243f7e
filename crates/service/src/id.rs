//! Ids as they come in requests: UUIDs in text form.

use tonic::Status;
use uuid::Uuid;

use crate::status::{self, Violation};

/// A new id, ordered by time (UUIDv7).
pub fn generate() -> Uuid {
    Uuid::now_v7()
}

/// Parses an id that refers to something, such as a parent or a request id.
pub fn parse(field: &str, text: &str) -> Result<Uuid, Violation> {
    canonical(text).ok_or_else(|| Violation::new(field, "must be a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057"))
}

/// Parses the id of the thing that is asked for: a malformed id names nothing, exactly like an unknown one.
pub fn parse_name(resource: &str, text: &str) -> Result<Uuid, Status> {
    canonical(text).ok_or_else(|| status::not_found(resource))
}

/// Only the hyphenated form of 36 characters: other spellings of the same id would split caches and logs.
fn canonical(text: &str) -> Option<Uuid> {
    if text.len() != 36 {
        return None;
    }
    Uuid::try_parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hyphenated_uuid_is_an_id() {
        let id = generate();

        assert_eq!(parse("id", &id.to_string()), Ok(id));
    }

    #[test]
    fn other_spellings_are_refused() {
        let id = generate();

        for text in [
            "",
            "nonsense",
            &id.simple().to_string(),
            &id.urn().to_string(),
            &id.braced().to_string(),
        ] {
            assert_eq!(parse("parent_id", text).unwrap_err().field, "parent_id", "{text}");
        }
    }

    #[test]
    fn a_malformed_name_is_not_found() {
        let status = parse_name("bookmark", "../secret").unwrap_err();

        assert_eq!(status.code(), tonic::Code::NotFound);
        assert_eq!(status.message(), status::not_found("bookmark").message());
    }
}
