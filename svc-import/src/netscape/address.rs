//! Which addresses cannot be bookmarks, and why. What remains is for svc-bookmarks to judge.

use super::text::prefix;

/// The longest URL that a bookmark takes.
pub(crate) const URL_LIMIT_BYTES: usize = 8_192;

/// Schemes that run, hold or query something instead of leading somewhere.
const UNFIT_SCHEMES: [(&str, &str); 7] = [
    ("javascript", "the URL is a script"),
    ("vbscript", "the URL is a script"),
    ("data", "the URL holds the document itself"),
    ("blob", "the URL is gone with its browser window"),
    ("place", "the URL is a query of Firefox's own"),
    ("about", "the URL is a page inside a browser"),
    ("chrome", "the URL is a page inside a browser"),
];

/// A URL as it stands in the file, without white space around it and the line breaks that HTML allows inside.
pub(crate) fn tidy(url: &str) -> String {
    url.trim().replace(['\n', '\r', '\t'], "")
}

pub(crate) fn reason_to_skip(url: &str) -> Option<String> {
    if url.is_empty() {
        return Some("the link has no URL".to_owned());
    }
    let Some(scheme) = scheme(url) else {
        return Some("the URL is relative: it has no scheme such as https".to_owned());
    };
    if let Some((_, reason)) = UNFIT_SCHEMES
        .iter()
        .find(|(unfit, _)| scheme.eq_ignore_ascii_case(unfit))
    {
        return Some(format!("{reason}: {}", scheme.to_ascii_lowercase()));
    }
    (url.len() > URL_LIMIT_BYTES).then(|| format!("the URL is longer than {URL_LIMIT_BYTES} bytes"))
}

fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = prefix(url, 64).split_once(':')?;
    let mut bytes = scheme.bytes();
    let begins_well = bytes.next().is_some_and(|first| first.is_ascii_alphabetic());
    (begins_well && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_somewhere_are_taken() {
        for url in [
            "https://a.example/",
            "HTTP://A",
            "ftp://a/b",
            "mailto:a@b",
            "file:///c",
            "web+app:x",
        ] {
            assert_eq!(reason_to_skip(url), None, "{url}");
        }
    }

    #[test]
    fn others_are_skipped_with_a_reason() {
        assert_eq!(
            reason_to_skip("JavaScript:void(0)").unwrap(),
            "the URL is a script: javascript"
        );
        assert_eq!(
            reason_to_skip("place:sort=8").unwrap(),
            "the URL is a query of Firefox's own: place"
        );
        assert_eq!(
            reason_to_skip("data:text/html,x").unwrap(),
            "the URL holds the document itself: data"
        );
        assert_eq!(reason_to_skip("").unwrap(), "the link has no URL");
        for url in [
            "/a/b",
            "//host/a",
            "a.html",
            "www.example.com/?u=http://x",
            ":x",
            "1a:b",
        ] {
            assert!(reason_to_skip(url).unwrap().starts_with("the URL is relative"), "{url}");
        }
        assert!(
            reason_to_skip(&format!("https://a/{}", "x".repeat(URL_LIMIT_BYTES)))
                .unwrap()
                .contains("longer")
        );
    }

    #[test]
    fn line_breaks_in_a_url_are_layout() {
        assert_eq!(tidy(" https://a/\r\n\tb "), "https://a/b");
    }
}
