//! Codes of an app (TOTP, RFC 6238): SHA-1, six digits, 30 seconds, which is what every such app can do. Pure.

use std::fmt::Write;

use anyhow::{Context, anyhow};
use qrcodegen::{QrCode, QrCodeEcc};
use service::status::Violation;
use time::{Duration, OffsetDateTime};
use totp_rs::{Algorithm, Builder, Totp};

use crate::password::random_bytes;

const ISSUER: &str = "Bookmesh";
const DIGITS: usize = 6;
const STEP_SECONDS: i64 = 30;
/// As long as the hash, as RFC 4226 advises.
const SECRET_BYTES: usize = 20;
/// The white margin that readers of QR codes need, in modules.
const QR_MARGIN: i32 = 4;

/// How many wrong codes are looked at before there is a pause.
const FREE_FAILURES: i32 = 5;
const FIRST_PAUSE: Duration = Duration::minutes(5);
const LONGEST_PAUSE: Duration = Duration::hours(1);

/// The secret that an app and this service share.
pub(crate) struct TotpSecret(Vec<u8>);

/// Six digits.
pub(crate) struct TotpCode(String);

impl TotpCode {
    pub(crate) fn parse(field: &str, text: &str) -> Result<TotpCode, Violation> {
        if text.len() != DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Violation::new(field, "must be six digits"));
        }
        Ok(TotpCode(text.to_owned()))
    }
}

impl TotpSecret {
    pub(crate) fn generate() -> TotpSecret {
        TotpSecret(random_bytes::<SECRET_BYTES>().to_vec())
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> TotpSecret {
        TotpSecret(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn to_base32(&self) -> anyhow::Result<String> {
        Ok(self.totp("")?.secret().to_base32())
    }

    /// What apps read, by hand or as a QR code. The account is only for people, and must have no colon.
    pub(crate) fn uri(&self, account: &str) -> anyhow::Result<String> {
        let totp = self.totp(&account.replace(':', ""))?;
        totp.to_url()
            .map_err(|error| anyhow!("writing an otpauth uri: {error}"))
    }

    /// The step that the code is of: the current one or the one before, because typing takes time. None that is to come.
    pub(crate) fn step_of(&self, code: &TotpCode, now: OffsetDateTime) -> anyhow::Result<Option<i64>> {
        let totp = self.totp("")?;
        for moment in [now.unix_timestamp(), now.unix_timestamp() - STEP_SECONDS] {
            let moment = u64::try_from(moment).context("reading a clock before 1970")?;
            // In constant time.
            if totp.check(&code.0, moment).is_some() {
                return Ok(Some(i64::try_from(moment)? / STEP_SECONDS));
            }
        }
        Ok(None)
    }

    fn totp(&self, account: &str) -> anyhow::Result<Totp> {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_skew(0)
            .with_step_duration(30)
            .with_secret(self.0.clone())
            .with_account_name(account)
            .with_issuer(Some(ISSUER))
            .build()
            .map_err(|error| anyhow!("preparing totp: {error}"))
    }
}

/// How long no code is looked at after the `failures`th wrong one in a row: five are free, and each later one costs twice the pause.
pub(crate) fn pause_after(failures: i32) -> Option<Duration> {
    let doublings = u32::try_from(failures - FREE_FAILURES).ok()?;
    let pause = FIRST_PAUSE.checked_mul(1_i32.checked_shl(doublings).unwrap_or(i32::MAX));
    Some(pause.map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE)))
}

/// A QR code as an SVG image, one unit a module.
pub(crate) fn qr_svg(text: &str) -> anyhow::Result<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)
        .ok()
        .context("writing a QR code")?;
    let size = code.size() + 2 * QR_MARGIN;
    let mut dark = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            write!(dark, "M{},{}h1v1h-1z", x + QR_MARGIN, y + QR_MARGIN)?;
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/><path d=\"{dark}\" fill=\"#000\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-26 12:00:10 UTC);
    const STEP: Duration = Duration::seconds(STEP_SECONDS);

    fn code_at(secret: &TotpSecret, moment: OffsetDateTime) -> TotpCode {
        let moment = u64::try_from(moment.unix_timestamp()).unwrap();
        TotpCode::parse("code", &secret.totp("").unwrap().generate(moment).to_string()).unwrap()
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890".to_vec());
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();

        for (moment, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            let code = TotpCode::parse("code", code).unwrap();

            assert_eq!(secret.step_of(&code, at(moment)).unwrap(), Some(moment / 30));
        }
    }

    #[test]
    fn the_current_code_and_the_one_before_count_and_no_other() {
        let secret = TotpSecret::generate();
        let current = NOW.unix_timestamp() / STEP_SECONDS;
        let step_of = |moment| secret.step_of(&code_at(&secret, moment), NOW).unwrap();

        assert_eq!(step_of(NOW), Some(current));
        assert_eq!(step_of(NOW - STEP), Some(current - 1));
        assert_eq!(step_of(NOW - STEP - STEP), None);
        assert_eq!(step_of(NOW + STEP), None);
    }

    #[test]
    fn anything_but_six_digits_breaks_the_rule() {
        for text in ["", "12345", "1234567", "12345a", "１２３４５６", " 12345"] {
            let violation = TotpCode::parse("totp_code", text).err().unwrap();

            assert_eq!(violation, Violation::new("totp_code", "must be six digits"), "{text}");
        }
    }

    #[test]
    fn five_wrong_codes_are_free_and_then_each_doubles_the_pause_to_an_hour() {
        let pauses: Vec<_> = (1..=10)
            .map(|failures| pause_after(failures).map(Duration::whole_minutes))
            .collect();

        assert_eq!(pauses[..4], [None; 4]);
        assert_eq!(pauses[4..], [5, 10, 20, 40, 60, 60].map(Some));
        assert_eq!(pause_after(i32::MAX), Some(LONGEST_PAUSE));
    }

    #[test]
    fn apps_are_told_the_account_the_issuer_and_the_secret() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890".to_vec());

        let uri = secret.uri("ada:x@example.com").unwrap();

        assert_eq!(
            uri,
            "otpauth://totp/Bookmesh:adax%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Bookmesh"
        );
        let svg = qr_svg(&uri).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
        assert!(svg.len() < 40_000, "{}", svg.len());
    }

    #[test]
    fn the_longest_address_fits_into_a_qr_code() {
        let uri = TotpSecret::generate()
            .uri(&format!("{}@example.com", "é".repeat(121)))
            .unwrap();

        assert!(qr_svg(&uri).is_ok());
    }
}
