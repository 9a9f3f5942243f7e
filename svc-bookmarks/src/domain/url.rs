//! Saved URLs: kept as they were typed, the same when their identities are.

use aws_lc_rs::digest::{SHA256, digest};
use service::status::Violation;
use url::{ParseError, Url};

use crate::domain::limits;

/// Schemes that are programs or pages of a browser rather than links.
const REFUSED_SCHEMES: [&str; 5] = ["javascript", "vbscript", "data", "blob", "place"];
/// Parameters that say where a visitor came from, and change nothing in the page.
const TRACKING_PARAMETERS: [&str; 26] = [
    "_hsenc",
    "_hsmi",
    "_openstat",
    "dclid",
    "fbclid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "igsh",
    "igshid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "oly_anon_id",
    "oly_enc_id",
    "s_cid",
    "s_kwcid",
    "srsltid",
    "ttclid",
    "twclid",
    "vero_id",
    "wbraid",
    "yclid",
];
const TRACKING_PREFIX: &str = "utm_";

/// A URL with a scheme that may be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedUrl {
    text: String,
    identity: Identity,
}

/// SHA-256 of a URL's normalised form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity([u8; 32]);

impl SavedUrl {
    /// Takes a URL as it was typed, without the white space around it.
    pub fn parse(field: &str, text: &str) -> Result<SavedUrl, Violation> {
        if let Some(violation) = service::check::required_text(field, text, limits::URL_BYTES) {
            return Err(violation);
        }
        let text = text.trim();
        let url = Url::parse(text).map_err(|error| Violation::new(field, problem(error)))?;
        if let Some(problem) = scheme_problem(&url) {
            return Err(Violation::new(field, problem));
        }
        Ok(SavedUrl {
            text: text.to_owned(),
            identity: Identity::of(&url),
        })
    }

    /// A URL that was parsed when it was saved.
    pub fn from_record(text: String, identity: &[u8]) -> anyhow::Result<SavedUrl> {
        Ok(SavedUrl {
            text,
            identity: Identity(identity.try_into()?),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The host in its ASCII form, if the URL has one.
    pub fn host(&self) -> Option<String> {
        let url = Url::parse(&self.text).ok()?;
        url.host_str().filter(|host| !host.is_empty()).map(str::to_owned)
    }
}

impl Identity {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(url: &Url) -> Identity {
        let hash = digest(&SHA256, normalised(url.clone()).as_bytes());
        let mut identity = [0; 32];
        identity.copy_from_slice(hash.as_ref());
        Identity(identity)
    }
}

fn problem(error: ParseError) -> String {
    match error {
        ParseError::RelativeUrlWithoutBase => "must begin with a scheme, such as https://".to_owned(),
        other => format!("must be a valid URL: {other}"),
    }
}

fn scheme_problem(url: &Url) -> Option<String> {
    let scheme = url.scheme();
    // `example.com:8080/x` and `localhost:8080` read as a scheme, and are a host without one.
    if scheme.contains('.') || scheme == "localhost" {
        return Some("must begin with a scheme, such as https://".to_owned());
    }
    REFUSED_SCHEMES
        .contains(&scheme)
        .then(|| format!("must be a link: the scheme {scheme}: cannot be saved"))
}

/// The form that tells URLs apart. Parsing has lowered the case of scheme and host, dropped the default port, and made
/// an empty path `/`.
fn normalised(mut url: Url) -> String {
    if !url.fragment().is_some_and(routes) {
        url.set_fragment(None);
    }
    if let Some(query) = url.query() {
        let kept: Vec<&str> = query.split('&').filter(|parameter| !is_tracking(parameter)).collect();
        let kept = kept.join("&");
        url.set_query(if kept.is_empty() { None } else { Some(&kept) });
    }
    url.into()
}

/// Fragments of single-page applications name a page; others name a place in it.
fn routes(fragment: &str) -> bool {
    fragment.starts_with('/') || fragment.starts_with('!')
}

fn is_tracking(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default().to_ascii_lowercase();
    name.starts_with(TRACKING_PREFIX) || TRACKING_PARAMETERS.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity(text: &str) -> Identity {
        SavedUrl::parse("url", text).unwrap().identity()
    }

    #[test]
    fn spellings_of_one_page_have_one_identity() {
        for (one, other) in [
            ("https://example.com", "https://example.com/"),
            ("HTTPS://Example.COM/a", "https://example.com/a"),
            ("https://example.com:443/a", "https://example.com/a"),
            ("http://example.com:80/a", "http://example.com/a"),
            ("https://example.com/a#top", "https://example.com/a"),
            (
                "https://example.com/a?utm_source=x&UTM_Medium=y",
                "https://example.com/a",
            ),
            ("https://example.com/a?b=1&gclid=2&c=3", "https://example.com/a?b=1&c=3"),
            ("https://example.com/a?", "https://example.com/a"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("  https://example.com/a\n", "https://example.com/a"),
        ] {
            assert_eq!(identity(one), identity(other), "{one} {other}");
        }
    }

    #[test]
    fn different_pages_have_different_identities() {
        for (one, other) in [
            ("https://example.com/", "http://example.com/"),
            ("https://example.com/a", "https://example.com/A"),
            ("https://example.com/a", "https://example.com/a/"),
            ("https://example.com/", "https://www.example.com/"),
            ("https://example.com/?a=1&b=2", "https://example.com/?b=2&a=1"),
            ("https://example.com/#/inbox", "https://example.com/"),
            ("https://example.com/#!inbox", "https://example.com/"),
            ("https://example.com:8443/", "https://example.com/"),
            ("https://example.com/?ref=1", "https://example.com/"),
            ("mailto:a@example.com", "mailto:b@example.com"),
        ] {
            assert_ne!(identity(one), identity(other), "{one} {other}");
        }
    }

    #[test]
    fn the_url_stays_as_it_was_typed() {
        let url = SavedUrl::parse("url", " HTTPS://Example.COM:443/a?utm_source=x#top ").unwrap();

        assert_eq!(url.as_str(), "HTTPS://Example.COM:443/a?utm_source=x#top");
        assert_eq!(url.host().as_deref(), Some("example.com"));
    }

    #[test]
    fn what_is_no_link_is_refused_by_name_and_rule() {
        for (text, rule) in [
            ("", "must not be empty"),
            ("example.com/page", "must begin with a scheme, such as https://"),
            ("example.com:8080/page", "must begin with a scheme, such as https://"),
            ("localhost:8080", "must begin with a scheme, such as https://"),
            ("//example.com", "must begin with a scheme, such as https://"),
            ("https://", "must be a valid URL: empty host"),
            (
                "https://exa mple.com/",
                "must be a valid URL: invalid international domain name",
            ),
            ("https://example.com/\0", "must not contain the character U+0000"),
            (
                "javascript:alert(1)",
                "must be a link: the scheme javascript: cannot be saved",
            ),
            (
                "JavaScript:alert(1)",
                "must be a link: the scheme javascript: cannot be saved",
            ),
            (
                "java\nscript:alert(1)",
                "must be a link: the scheme javascript: cannot be saved",
            ),
            ("data:text/html,hi", "must be a link: the scheme data: cannot be saved"),
            ("place:sort=8", "must be a link: the scheme place: cannot be saved"),
        ] {
            let violation = SavedUrl::parse("url", text).unwrap_err();

            assert_eq!(violation, Violation::new("url", rule), "{text}");
        }
    }

    #[test]
    fn other_schemes_are_kept() {
        for text in [
            "mailto:a@example.com",
            "ftp://example.com/a",
            "file:///etc/hosts",
            "about:config",
            "tel:123",
        ] {
            assert!(SavedUrl::parse("url", text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_longest_url_passes_and_one_more_byte_does_not() {
        let longest = format!("https://example.com/{}", "a".repeat(limits::URL_BYTES - 20));

        assert!(SavedUrl::parse("url", &longest).is_ok());
        assert!(SavedUrl::parse("url", &format!("{longest}a")).is_err());
    }

    proptest! {
        #[test]
        fn the_normalised_form_is_its_own(path in "[a-zA-Z0-9/._%-]{0,30}", query in "[a-z0-9&=_]{0,30}") {
            let Ok(url) = Url::parse(&format!("https://example.com/{path}?{query}#x")) else { return Ok(()) };
            let once = normalised(url);

            prop_assert_eq!(normalised(Url::parse(&once).unwrap()), once);
        }

        #[test]
        fn nothing_typed_panics(text in ".{0,60}") {
            let _ = SavedUrl::parse("url", &text);
        }
    }
}
