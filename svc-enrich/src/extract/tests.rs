//! What is proposed for real-looking bookmarks, and what holds for any text at all.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn names(text: &Text<'_>) -> Vec<String> {
    propose(text).tags.into_iter().map(|tag| tag.name).collect()
}

#[test]
fn what_title_and_description_share_comes_first() {
    let text = Text {
        url: "https://tokio.rs/tokio/tutorial",
        title: "Tokio tutorial: an asynchronous runtime for Rust",
        description: "Tokio is an asynchronous runtime for the Rust programming language.",
        ..Text::default()
    };

    let proposal = propose(&text);

    assert_eq!(proposal.tags[0].name, "tokio");
    assert!(proposal.tags.iter().any(|tag| tag.name == "rust"), "{proposal:?}");
    assert!(
        proposal.tags.iter().any(|tag| tag.name == "asynchronous runtime"),
        "{proposal:?}"
    );
    assert_eq!(proposal.summary, text.description);
}

#[test]
fn confidence_falls_along_the_list_and_stays_between_0_and_1() {
    let text = Text {
        url: "https://bread.example/sourdough",
        title: "Sourdough bread for beginners",
        description: "Flour, water, salt. Sourdough needs time. Bread needs an oven.",
        ..Text::default()
    };

    let confidences: Vec<f32> = propose(&text).tags.iter().map(|tag| tag.confidence).collect();

    assert!(confidences.is_sorted_by(|left, right| left >= right), "{confidences:?}");
    assert!(confidences.iter().all(|confidence| (0.0..=1.0).contains(confidence)));
    assert!(confidences[0] > 0.6, "{confidences:?}");
}

#[test]
fn a_phrase_that_recurs_stands_beside_its_words_and_one_by_chance_does_not() {
    let text = Text {
        url: "https://bees.example/",
        title: "Bees",
        description: "Keeping bees; keeping bees.",
        note: "Reading bees",
        ..Text::default()
    };

    let names = names(&text);

    assert!(names.contains(&"bees".to_owned()), "{names:?}");
    assert!(names.contains(&"keeping bees".to_owned()), "{names:?}");
    assert!(!names.contains(&"reading bees".to_owned()), "{names:?}");
}

#[test]
fn tags_that_the_bookmark_has_are_not_proposed() {
    let tags = ["Rust".to_owned(), "ASYNC book".to_owned()];
    let text = Text {
        title: "Async book, Rust",
        tags: &tags,
        ..Text::default()
    };

    let names = names(&text);

    assert!(!names.contains(&"rust".to_owned()), "{names:?}");
    assert!(!names.contains(&"async book".to_owned()), "{names:?}");
}

#[test]
fn a_bare_address_gives_what_host_and_path_agree_on() {
    let text = Text {
        url: "https://www.sqlite.org/sqlite/wal.html",
        ..Text::default()
    };

    assert_eq!(names(&text), ["sqlite"]);
}

#[test]
fn an_empty_bookmark_gets_nothing() {
    let proposal = propose(&Text::default());

    assert_eq!(
        proposal,
        Proposal {
            tags: vec![],
            summary: String::new()
        }
    );
}

#[test]
fn the_note_makes_the_summary_when_there_is_no_description() {
    let text = Text {
        title: "Knots",
        description: " \n\t ",
        note: "How to tie a bowline.\nKeep for the sailing trip in summer, when we need knots.",
        ..Text::default()
    };

    let summary = propose(&text).summary;

    assert_eq!(summary, "Keep for the sailing trip in summer, when we need knots.");
}

#[test]
fn a_long_sentence_is_cut_between_words() {
    let description = "word ".repeat(100);

    let summary = propose(&Text {
        description: &description,
        ..Text::default()
    })
    .summary;

    assert!(summary.chars().count() <= 200);
    assert!(summary.ends_with("word…"), "{summary}");
}

#[test]
fn markup_and_commands_in_a_page_do_not_get_into_tags() {
    let text = Text {
        title: "<script>alert(1)</script> IGNORE ALL PREVIOUS INSTRUCTIONS https://evil.example/?x=1",
        description: "\u{202e}reversed \u{200b}zero\u{0} width",
        ..Text::default()
    };

    let proposal = propose(&text);

    for tag in &proposal.tags {
        assert!(!tag.name.contains(['<', '>', '/', ':', '\0']), "{tag:?}");
    }
    assert!(!proposal.summary.contains(['\u{202e}', '\u{200b}', '\0']));
}

#[test]
fn a_hundred_thousand_bookmarks_take_seconds() {
    let description = "Everything you need to know about keeping bees in a city garden, from hives to honey.";
    let text = Text {
        url: "https://bees.example/city-garden/hives",
        title: "Keeping bees in the city - a beginner's guide",
        description,
        ..Text::default()
    };
    let started = Instant::now();

    for _ in 0..1_000 {
        propose(&text);
    }

    // A hundredth of it, in an unoptimised build on a busy machine.
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

fn keeps_the_contract(name: &str) -> bool {
    let pattern = regex::Regex::new(r"^[\p{L}\p{N}][\p{L}\p{N} ._+-]*$").unwrap();
    pattern.is_match(name) && name.chars().count() <= 40
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_keeps_the_contract(
        url in "\\PC{0,60}", title in any::<String>(), description in "(\\PC{0,20}[ .,\\n]){0,20}", note in any::<String>(),
        tags in proptest::collection::vec("[a-z]{1,6}", 0..4),
    ) {
        let text = Text { url: &url, title: &title, description: &description, note: &note, tags: &tags };

        let proposal = propose(&text);

        prop_assert!(proposal.tags.len() <= 8);
        for tag in &proposal.tags {
            prop_assert!(keeps_the_contract(&tag.name), "{tag:?}");
            prop_assert!((0.0..=1.0).contains(&tag.confidence), "{tag:?}");
            prop_assert!(!tags.contains(&tag.name), "{tag:?}");
        }
        prop_assert!(proposal.summary.chars().count() <= 200);
        prop_assert!(!proposal.summary.contains(char::is_control));
        prop_assert_eq!(propose(&text), proposal, "the same text gives the same proposal");
    }

    #[test]
    fn words_with_meaning_in_a_title_are_proposed(word in "[b-df-hj-np-tv-z]{5,12}") {
        prop_assert_eq!(names(&Text { title: &word, ..Text::default() }), [word]);
    }
}
