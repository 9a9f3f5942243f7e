//! What callers say to the cache, and what it says of itself: Cache-Control, Cache-Status, Age, Vary.

use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::exchange;
use crate::policy::{Keeping, Sharing};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What an answer says of the cache; nothing when it cannot be kept.
pub(crate) fn status_of(response: &HttpResponse) -> Option<&str> {
    response.headers().get(CACHE_STATUS)?.to_str().ok()
}

/// What the caller wants of the cache, by its Cache-Control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    Any,
    /// `no-cache`, as browsers send it for a reload.
    Newest,
    /// `no-store`
    NotKept,
}

/// Why a service was asked (RFC 9211, section 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Forwarded {
    Bypass,
    Miss,
    Request,
    Stale,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CacheStatus {
    Hit { age: Duration, time_to_live: i64 },
    Forwarded { forwarded: Forwarded, is_kept: bool },
    Collapsed { forwarded: Forwarded },
}

impl Wish {
    pub(super) fn of(request: &HttpRequest) -> Self {
        match exchange::header(request.headers(), header::CACHE_CONTROL) {
            None => Self::Any,
            Some(directives) => Self::read(directives),
        }
    }

    fn read(directives: &str) -> Self {
        let has = |wanted: &[&str]| {
            let mut directives = directives.split(',').map(str::trim);
            directives.any(|directive| wanted.iter().any(|wanted| directive.eq_ignore_ascii_case(wanted)))
        };
        if has(&["no-store"]) {
            Self::NotKept
        } else if has(&["no-cache", "max-age=0"]) {
            Self::Newest
        } else {
            Self::Any
        }
    }
}

impl Forwarded {
    fn name(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }
}

/// Says on an answer where it comes from, and who may keep it further.
pub(super) fn mark(response: &mut HttpResponse, keeping: &Keeping, status: CacheStatus) {
    let headers = response.headers_mut();
    match keeping.sharing {
        Sharing::Everyone => {
            headers.insert(header::CACHE_CONTROL, text(cache_control(keeping)));
        }
        // Nobody tells caches behind the edge what has changed: they have to ask, as they do with every answer to a user.
        // Where several users share such a cache, each has answers of its own.
        Sharing::SameUser => headers.append(header::VARY, HeaderValue::from_static("authorization")),
    }
    if let CacheStatus::Hit { age, .. } = status {
        headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    }
    headers.insert(CACHE_STATUS, text(cache_status(status)));
}

fn cache_control(keeping: &Keeping) -> String {
    let mut directives = format!("public, max-age={}", keeping.max_age.as_secs());
    let stale = [
        ("stale-while-revalidate", keeping.stale_while_revalidate),
        ("stale-if-error", keeping.stale_if_error),
    ];
    for (name, time) in stale.into_iter().filter(|(_, time)| !time.is_zero()) {
        directives.push_str(&format!(", {name}={}", time.as_secs()));
    }
    directives
}

fn cache_status(status: CacheStatus) -> String {
    match status {
        CacheStatus::Hit { time_to_live, .. } => format!("edge; hit; ttl={time_to_live}"),
        CacheStatus::Forwarded { forwarded, is_kept } => {
            let stored = if is_kept { "; stored" } else { "" };
            format!("edge; fwd={}{stored}", forwarded.name())
        }
        CacheStatus::Collapsed { forwarded } => format!("edge; fwd={}; collapsed", forwarded.name()),
    }
}

fn text(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("words and numbers are always a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_ask_for_the_newest_or_for_nothing_to_be_kept() {
        for (directives, wish) in [
            ("", Wish::Any),
            ("max-age=60", Wish::Any),
            ("no-cache", Wish::Newest),
            ("max-age=0", Wish::Newest),
            ("No-Cache, No-Store", Wish::NotKept),
            ("x-no-store", Wish::Any),
        ] {
            assert_eq!(Wish::read(directives), wish, "{directives}");
        }
    }

    #[test]
    fn what_is_everyones_says_how_long_it_may_be_kept() {
        let keeping = Keeping {
            sharing: Sharing::Everyone,
            max_age: Duration::from_secs(300),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::from_secs(86_400),
        };

        assert_eq!(cache_control(&keeping), "public, max-age=300, stale-if-error=86400");
    }
}
