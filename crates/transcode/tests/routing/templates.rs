//! The grammar of path templates.

use proptest::prelude::*;
use transcode::{Segment, Template};

fn problem(template: &str) -> &'static str {
    Template::parse(template).expect_err(template).problem
}

#[test]
fn a_template_has_segments_variables_and_a_verb() {
    let template = Template::parse("/v1/{name=shelves/*}/books/{book.id}:read").unwrap();

    let literal = |text: &str| Segment::Literal(text.to_owned());
    assert_eq!(
        template.segments(),
        [
            literal("v1"),
            literal("shelves"),
            Segment::One,
            literal("books"),
            Segment::One
        ]
    );
    assert_eq!(template.verb(), Some("read"));
    let variables: Vec<_> = template
        .variables()
        .iter()
        .map(|it| (it.field_path.as_str(), it.segments.clone()))
        .collect();
    assert_eq!(variables, [("name", 1..3), ("book.id", 4..5)]);
}

#[test]
fn what_breaks_the_grammar_is_refused() {
    for (template, expected) in [
        ("v1/books", "must begin with `/`"),
        ("", "must begin with `/`"),
        ("/", "has an empty segment"),
        ("/v1//books", "has an empty segment"),
        ("/v1/books/", "has an empty segment"),
        ("/v1/books:", "has an empty segment"),
        ("/v1/{id", "has a variable without its `}`"),
        ("/v1/{}", "has a variable whose name is no field path"),
        ("/v1/{a..b}", "has a variable whose name is no field path"),
        ("/v1/{1a}", "has a variable whose name is no field path"),
        ("/v1/{a={b}}", "has a variable inside of a variable"),
        ("/v1/{a}/{a}", "has the same variable twice"),
        ("/v1/{a=**}/b", "`**` must be the last segment"),
        ("/v1/**/*", "`**` must be the last segment"),
        ("/v1/{a}b", "has something after its end"),
        ("/v1/a b", "has a character that a path cannot have as it is"),
        ("/v1/a%20b", "has a character that a path cannot have as it is"),
        ("/v1/books:read:again", "has something after its end"),
    ] {
        assert_eq!(problem(template), expected, "{template}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_fail_otherwise(text in "[/a*{}=.:%]{0,24}") {
        let _ = Template::parse(&text);
    }

    #[test]
    fn every_generated_template_is_read_as_it_was_made(
        literals in prop::collection::vec("[a-z][a-z0-9_.-]{0,6}", 1..5),
        ends_in_rest: bool,
        verb in prop::option::of("[a-z]{1,6}"),
    ) {
        let mut text = String::new();
        for (number, literal) in literals.iter().enumerate() {
            text += &format!("/{literal}/{{v{number}}}");
        }
        if ends_in_rest {
            text += "/{rest=**}";
        }
        if let Some(verb) = &verb {
            text += &format!(":{verb}");
        }

        let template = Template::parse(&text).unwrap();

        prop_assert_eq!(template.segments().len(), 2 * literals.len() + usize::from(ends_in_rest));
        prop_assert_eq!(template.variables().len(), literals.len() + usize::from(ends_in_rest));
        prop_assert_eq!(template.verb(), verb.as_deref());
    }
}
