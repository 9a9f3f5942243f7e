//! Device tokens: show that somebody has logged in to this account from this device before. They are worth nothing else: whoever has
//! one may fail a few times before they have to wait, however many others have failed. A token ends with the password that was shown for it.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::master_key::MasterKey;

/// Twice as long as a session lives at most. Each log-in answers a new one.
const LIFE: Duration = Duration::days(180);
/// Those of version 1 did not say which password they were issued for, and are none any more.
const VERSION: u8 = 2;
const SIGNED_BYTES: usize = 1 + 16 + 16 + 8 + 8;
const TAG_BYTES: usize = 32;

/// A device that has been told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Device {
    pub user_id: Uuid,
    pub id: Uuid,
    /// Of the account when it was last logged in to from the device.
    pub password_version: i64,
}

/// Signs device tokens.
pub(crate) struct DeviceKey(hmac::Key);

impl DeviceKey {
    pub(crate) fn new(master_key: &MasterKey) -> DeviceKey {
        DeviceKey(master_key.hmac_key("sign device tokens"))
    }

    pub(crate) fn issue(&self, device: Device, now: OffsetDateTime) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(device.user_id.as_bytes());
        bytes.extend(device.id.as_bytes());
        bytes.extend(now.unix_timestamp().to_be_bytes());
        bytes.extend(device.password_version.to_be_bytes());
        bytes.extend(hmac::sign(&self.0, &bytes).as_ref());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Nothing for a token that is forged or too old. Of none is said why: it is as good as no token.
    pub(crate) fn read(&self, text: &str, now: OffsetDateTime) -> Option<Device> {
        let bytes: [u8; SIGNED_BYTES + TAG_BYTES] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (signed, tag) = bytes.split_at(SIGNED_BYTES);
        hmac::verify(&self.0, signed, tag).ok()?;
        if signed[0] != VERSION {
            return None;
        }
        let seconds = i64::from_be_bytes(signed[33..41].try_into().ok()?);
        let issued_at = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        (now - issued_at < LIFE).then_some(Device {
            user_id: Uuid::from_slice(&signed[1..17]).ok()?,
            id: Uuid::from_slice(&signed[17..33]).ok()?,
            password_version: i64::from_be_bytes(signed[41..].try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);
    const DEVICE: Device = Device {
        user_id: Uuid::from_u128(1),
        id: Uuid::from_u128(2),
        password_version: 3,
    };

    fn key(fill: u8) -> DeviceKey {
        DeviceKey::new(&MasterKey::parse(&BASE64_STANDARD.encode([fill; 32])).unwrap())
    }

    #[test]
    fn a_token_tells_user_and_device_until_it_is_too_old() {
        let token = key(1).issue(DEVICE, NOW);

        assert_eq!(key(1).read(&token, NOW + Duration::days(179)), Some(DEVICE));
        assert_eq!(key(1).read(&token, NOW + Duration::days(180)), None);
        assert_eq!(key(2).read(&token, NOW), None);
    }

    #[test]
    fn a_token_of_the_version_before_is_none() {
        let key = key(1);
        let mut bytes = vec![1];
        bytes.extend([0; 40]);
        bytes.extend(hmac::sign(&key.0, &bytes).as_ref());

        assert_eq!(key.read(&BASE64_URL_SAFE_NO_PAD.encode(bytes), NOW), None);
    }

    proptest! {
        #[test]
        fn a_token_with_one_changed_letter_is_none(position in 0..108_usize, letter in "[A-Za-z0-9_-]") {
            let token = key(1).issue(DEVICE, NOW);
            let mut changed = token.clone();
            changed.replace_range(position..=position, &letter);

            prop_assert_eq!(key(1).read(&changed, NOW).is_some(), changed == token);
        }

        #[test]
        fn any_text_is_read_without_panic_and_is_no_token(text in ".{0,120}") {
            prop_assert_eq!(key(1).read(&text, NOW), None);
        }
    }
}
