//! Refresh tokens: opaque outside, derived from session and generation inside, so that a lost one can be issued again.

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use uuid::Uuid;

const VERSION: u8 = 1;
const SIGNED_BYTES: usize = 1 + 16 + 8;
const MAC_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
const TOKEN_BYTES: usize = SIGNED_BYTES + MAC_BYTES + CHECKSUM_BYTES;

/// The key of one session's refresh tokens.
pub(crate) struct RefreshKey(hmac::Key);

/// A refresh token whose checksum is right. Whether it is authentic, its session's key tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub session_id: Uuid,
    pub generation: i64,
    mac: [u8; MAC_BYTES],
}

impl RefreshKey {
    pub(crate) fn new(bytes: &[u8]) -> RefreshKey {
        RefreshKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The token of a generation: always the same bytes.
    pub(crate) fn issue(&self, session_id: Uuid, generation: i64) -> String {
        let signed = signed_part(session_id, generation);
        let mut bytes = signed.to_vec();
        bytes.extend(self.mac(&signed));
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn is_authentic(&self, token: &RefreshToken) -> bool {
        let expected = self.mac(&signed_part(token.session_id, token.generation));
        constant_time::verify_slices_are_equal(&expected, &token.mac).is_ok()
    }

    fn mac(&self, signed: &[u8]) -> [u8; MAC_BYTES] {
        let tag = hmac::sign(&self.0, signed);
        tag.as_ref()[..MAC_BYTES]
            .try_into()
            .expect("a SHA-256 tag has 32 bytes")
    }
}

impl RefreshToken {
    /// Answers nothing for what was never a token, so that no guess costs a query.
    pub(crate) fn parse(text: &str) -> Option<RefreshToken> {
        let bytes: [u8; TOKEN_BYTES] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (body, checksum) = bytes.split_at(TOKEN_BYTES - CHECKSUM_BYTES);
        if checksum != crc32fast::hash(body).to_be_bytes() || body[0] != VERSION {
            return None;
        }
        let (signed, mac) = body.split_at(SIGNED_BYTES);
        Some(RefreshToken {
            session_id: Uuid::from_slice(&signed[1..17]).ok()?,
            generation: i64::from_be_bytes(signed[17..].try_into().ok()?),
            mac: mac.try_into().ok()?,
        })
    }
}

fn signed_part(session_id: Uuid, generation: i64) -> [u8; SIGNED_BYTES] {
    let mut signed = [VERSION; SIGNED_BYTES];
    signed[1..17].copy_from_slice(session_id.as_bytes());
    signed[17..].copy_from_slice(&generation.to_be_bytes());
    signed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_the_same_each_time_it_is_issued_and_reads_back() {
        let key = RefreshKey::new(&[7; 32]);
        let session_id = Uuid::from_u128(42);

        let token = key.issue(session_id, 3);

        assert_eq!(token, key.issue(session_id, 3));
        let parsed = RefreshToken::parse(&token).unwrap();
        assert_eq!((parsed.session_id, parsed.generation), (session_id, 3));
        assert!(key.is_authentic(&parsed));
        assert!(!RefreshKey::new(&[8; 32]).is_authentic(&parsed));
    }

    #[test]
    fn a_token_of_one_generation_does_not_pass_for_another() {
        let key = RefreshKey::new(&[7; 32]);
        let token = RefreshToken::parse(&key.issue(Uuid::from_u128(42), 3)).unwrap();

        assert!(!key.is_authentic(&RefreshToken { generation: 4, ..token }));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_hardly_any_is_a_token(text in ".{0,80}") {
            prop_assert_eq!(RefreshToken::parse(&text), None);
        }

        #[test]
        fn a_token_with_one_changed_letter_is_none(position in 0..60_usize, letter in "[A-Za-z0-9_-]") {
            let token = RefreshKey::new(&[7; 32]).issue(Uuid::from_u128(42), 3);
            let mut changed = token.clone();
            changed.replace_range(position..=position, &letter);

            prop_assert_eq!(RefreshToken::parse(&changed).is_some(), changed == token);
        }
    }
}
