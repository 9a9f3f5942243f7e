//! The content codings that the edge has.

use std::io::{self, Write};
use std::sync::OnceLock;

use actix_web::http::header::HeaderValue;
use bytes::Bytes;

const ZSTD_LEVEL: i32 = 3;
const BROTLI_QUALITY: i32 = 4;
/// The largest window that RFC 7932 has for everyone is 24; answers are smaller than this one.
const BROTLI_WINDOW: i32 = 20;
const GZIP_LEVEL: u32 = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// The cheapest for its size first.
    pub(super) const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// RFC 9110 wants the old name of gzip to be taken too.
    pub(super) fn is_named(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name()) || (self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }

    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    pub(super) fn encode(self, content: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(content, ZSTD_LEVEL),
            Self::Brotli => brotli(content),
            Self::Gzip => gzip(content),
        }
    }
}

fn brotli(mut content: &[u8]) -> io::Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        size_hint: content.len(),
        ..Default::default()
    };
    let mut encoded = Vec::with_capacity(content.len() / 2);
    brotli::BrotliCompress(&mut content, &mut encoded, &parameters)?;
    Ok(encoded)
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let encoded = Vec::with_capacity(content.len() / 2);
    let mut encoder = flate2::write::GzEncoder::new(encoded, flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(content)?;
    encoder.finish()
}

/// The coded forms of a content that is sent more than once: each is made when somebody first asks for it, and then kept.
#[derive(Default)]
pub(crate) struct Forms([OnceLock<Option<Bytes>>; Coding::ALL.len()]);

impl Forms {
    /// Nothing when it would be no smaller.
    pub(super) fn get(&self, coding: Coding, content: &[u8]) -> Option<Bytes> {
        self.slot(coding).get_or_init(|| smaller(coding, content)).clone()
    }

    pub(super) fn is_made(&self, coding: Coding) -> bool {
        self.slot(coding).get().is_some()
    }

    fn slot(&self, coding: Coding) -> &OnceLock<Option<Bytes>> {
        match coding {
            Coding::Zstd => &self.0[0],
            Coding::Brotli => &self.0[1],
            Coding::Gzip => &self.0[2],
        }
    }
}

/// The content in this coding, when that is smaller.
pub(super) fn smaller(coding: Coding, content: &[u8]) -> Option<Bytes> {
    match coding.encode(content) {
        Ok(encoded) if encoded.len() < content.len() => Some(encoded.into()),
        Ok(_) => None,
        Err(error) => {
            tracing::error!(error = %error, coding = coding.name(), "an answer could not be compressed");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn decode(coding: Coding, encoded: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        match coding {
            Coding::Zstd => zstd::Decoder::new(encoded).unwrap().read_to_end(&mut decoded).unwrap(),
            Coding::Brotli => brotli::Decompressor::new(encoded, 4096)
                .read_to_end(&mut decoded)
                .unwrap(),
            Coding::Gzip => flate2::read::GzDecoder::new(encoded).read_to_end(&mut decoded).unwrap(),
        };
        decoded
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_encoded_can_be_decoded(content in prop::collection::vec(any::<u8>(), 0..5000), times in 1usize..20) {
            let content = content.repeat(times);
            for coding in Coding::ALL {
                prop_assert_eq!(&decode(coding, &coding.encode(&content).unwrap()), &content);
            }
        }
    }

    #[test]
    fn a_form_is_made_once_and_only_when_it_is_smaller() {
        let (text, noise) = (vec![b'x'; 4096], (0..=255).collect::<Vec<u8>>());
        let forms = Forms::default();

        let first = forms.get(Coding::Gzip, &text).unwrap();
        let second = forms.get(Coding::Gzip, &text).unwrap();

        assert_eq!(first.as_ptr(), second.as_ptr(), "it was made again");
        assert!(forms.is_made(Coding::Gzip) && !forms.is_made(Coding::Zstd));
        assert_eq!(Forms::default().get(Coding::Zstd, &noise), None);
    }
}
