//! The words in a URL: those of its host and those of its path.

use super::stop_words;

const MIN_LETTERS: usize = 3;
const MAX_LETTERS: usize = 20;

/// Host and path. What is no URL has neither; nothing is looked up, so that being exact is worth nothing here.
pub(super) fn split(url: &str) -> (&str, &str) {
    let Some((_, rest)) = url.split_once("://") else {
        return ("", "");
    };
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    // The last label says which country or kind, not what about.
    (host.rsplit_once('.').map_or("", |(name, _)| name), path)
}

/// Runs of letters that look like words: no ids, no percent signs, no file extensions.
pub(super) fn words(part: &str) -> impl Iterator<Item = String> {
    part.split(|character: char| !character.is_alphanumeric() && character != '%')
        .filter(|word| word.chars().all(char::is_alphabetic))
        .filter(|word| (MIN_LETTERS..=MAX_LETTERS).contains(&word.chars().count()))
        .map(str::to_lowercase)
        .filter(|word| !stop_words::is_stop_word(word) && !stop_words::is_web_word(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> (Vec<String>, Vec<String>) {
        let (host, path) = split(url);
        (words(host).collect(), words(path).collect())
    }

    #[test]
    fn host_and_path_give_their_words() {
        assert_eq!(
            of("https://user:secret@doc.rust-lang.org:443/book/ch01-foreword.html?utm=1#top"),
            (
                vec!["doc".into(), "rust".into(), "lang".into()],
                vec!["book".into(), "foreword".into()]
            )
        );
    }

    #[test]
    fn ids_escapes_and_words_of_the_web_are_left_out() {
        assert_eq!(
            of("https://www.example.com/index.php/p/8f3ac91/caf%C3%A9/posts"),
            (vec!["example".into()], vec![])
        );
    }

    #[test]
    fn what_is_no_url_has_no_words() {
        for text in [
            "",
            "example",
            "://",
            "https://",
            "javascript:alert(1)",
            "https://localhost",
        ] {
            assert_eq!(of(text), (vec![], vec![]), "{text}");
        }
    }
}
