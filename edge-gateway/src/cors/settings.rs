//! The table `[cors]` of the settings: scripts of which sites may call, and what they may send and see.

use actix_web::http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

/// What a call of the API may need besides what every script may send.
const ALLOWED: [&str; 10] = [
    "authorization",
    "cache-control",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "request-timeout",
    "traceparent",
    "tracestate",
    "x-request-id",
];
const EXPOSED: [&str; 14] = [
    "age",
    "allow",
    "cache-status",
    "deprecation",
    "etag",
    "link",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "sunset",
    "traceparent",
    "www-authenticate",
    "x-request-id",
];
const MAX_AGE_SECONDS: u64 = 600;

/// Read from the table, and ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct CorsSettings {
    pub(super) origins: Origins,
    pub(super) allowed_headers: HeaderValue,
    pub(super) exposed_headers: HeaderValue,
    pub(super) max_age_seconds: u64,
    pub(super) credentials: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origins {
    None,
    Any,
    /// As browsers write them, compared byte by byte.
    Listed(Vec<HeaderValue>),
}

/// As it is written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    origins: Vec<String>,
    allowed_headers: Vec<String>,
    exposed_headers: Vec<String>,
    max_age_seconds: u64,
    credentials: bool,
}

impl Default for Table {
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            origins: Vec::new(),
            allowed_headers: texts(&ALLOWED),
            exposed_headers: texts(&EXPOSED),
            max_age_seconds: MAX_AGE_SECONDS,
            credentials: false,
        }
    }
}

impl Default for CorsSettings {
    fn default() -> Self {
        Self::try_from(Table::default()).expect("the defaults are names of headers")
    }
}

impl TryFrom<Table> for CorsSettings {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let origins = Origins::read(&table.origins)?;
        if table.credentials && origins == Origins::Any {
            return Err("with credentials the origins must be named: \"*\" would be every site".to_owned());
        }
        Ok(Self {
            origins,
            allowed_headers: names(&table.allowed_headers)?,
            exposed_headers: names(&table.exposed_headers)?,
            max_age_seconds: table.max_age_seconds,
            credentials: table.credentials,
        })
    }
}

impl From<CorsSettings> for Table {
    fn from(settings: CorsSettings) -> Self {
        Self {
            origins: match &settings.origins {
                Origins::None => Vec::new(),
                Origins::Any => vec!["*".to_owned()],
                Origins::Listed(listed) => listed.iter().map(text).collect(),
            },
            allowed_headers: list(&settings.allowed_headers),
            exposed_headers: list(&settings.exposed_headers),
            max_age_seconds: settings.max_age_seconds,
            credentials: settings.credentials,
        }
    }
}

impl Origins {
    fn read(texts: &[String]) -> Result<Self, String> {
        match texts {
            [] => Ok(Self::None),
            [any] if any == "*" => Ok(Self::Any),
            listed => Ok(Self::Listed(
                listed.iter().map(|text| origin(text)).collect::<Result<_, _>>()?,
            )),
        }
    }
}

/// A mistake here would silently allow nobody, so it is told.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let wrong = || {
        format!(
            "{text:?} is no origin: write it as browsers do, such as https://app.example.com or http://127.0.0.1:3000"
        )
    };
    let (scheme, host) = text.split_once("://").ok_or_else(wrong)?;
    let is_scheme = matches!(scheme, "http" | "https") || scheme.ends_with("-extension");
    let is_default_port = matches!(
        (scheme, host.rsplit_once(':')),
        ("http", Some((_, "80"))) | ("https", Some((_, "443")))
    );
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte));
    if !is_scheme || !is_host || is_default_port {
        return Err(wrong());
    }
    HeaderValue::try_from(text).map_err(|_| wrong())
}

/// One list of them; `*` would not cover `authorization`, so it is not taken.
fn names(texts: &[String]) -> Result<HeaderValue, String> {
    for text in texts {
        if text == "*" || HeaderName::try_from(text.as_str()).is_err() {
            return Err(format!("{text:?} is no name of a header"));
        }
    }
    HeaderValue::try_from(texts.join(", ")).map_err(|error| error.to_string())
}

/// What [`names`] has joined.
fn list(names: &HeaderValue) -> Vec<String> {
    let names = text(names);
    let names = names.split(", ").filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    fn error(table: &str) -> String {
        format!("[cors]\n{table}").parse::<Settings>().unwrap_err().to_string()
    }

    #[test]
    fn every_site_may_not_come_with_credentials() {
        assert!(error("origins = ['*']\ncredentials = true").contains("must be named"));
        assert!(
            "[cors]\norigins = ['https://a.example']\ncredentials = true"
                .parse::<Settings>()
                .is_ok()
        );
    }

    #[test]
    fn what_no_browser_would_send_is_no_origin() {
        for origin in [
            "app.example",
            "https://app.example/",
            "https://App.example",
            "https://app.example:443",
            "https://*.example",
            "ftp://app.example",
            "null",
            "*', 'https://app.example",
        ] {
            assert!(
                error(&format!("origins = ['{origin}']")).contains("is no origin"),
                "{origin}"
            );
        }
        for origin in ["https://app.example", "http://127.0.0.1:3000", "chrome-extension://abc"] {
            let table = format!("[cors]\norigins = ['{origin}']");
            assert!(table.parse::<Settings>().is_ok(), "{origin}");
        }
    }

    #[test]
    fn what_is_shown_is_what_was_written() {
        for table in [
            "origins = ['*']",
            "origins = ['https://a.example']\nexposed_headers = []",
            "",
        ] {
            let settings: Settings = format!("[cors]\n{table}").parse().unwrap();
            let shown = serde_json::to_string(&settings.cors).unwrap();

            assert_eq!(
                serde_json::from_str::<super::CorsSettings>(&shown).unwrap(),
                settings.cors
            );
        }
    }

    #[test]
    fn a_header_has_to_be_a_name() {
        assert!(error("allowed_headers = ['*']").contains("no name of a header"));
        assert!(error("exposed_headers = ['a b']").contains("no name of a header"));
    }
}
