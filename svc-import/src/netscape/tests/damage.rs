//! Bad input: what is refused, what is read in spite of it, and what is said about it.

use super::*;

#[test]
fn what_is_no_bookmark_file_fails_with_a_reason() {
    let page = "<!DOCTYPE html><html><body><p>Hello <a href=https://a.example/>you</a></body></html>";

    assert_eq!(failure("").reason, Reason::EmptyFile);
    assert_eq!(failure(" \r\n\t").reason, Reason::EmptyFile);
    assert_eq!(failure("%PDF-1.7\n...").reason, Reason::NotABookmarkFile);
    assert_eq!(failure("just\nsome\ntext").reason, Reason::NotABookmarkFile);
    assert_eq!(failure("just\nsome\ntext").line, 3);
    assert_eq!(failure(page).reason, Reason::NotABookmarkFile);
    assert_eq!(failure("{\"roots\": {}}").reason, Reason::NotABookmarkFile);
    assert_eq!(
        failure([0_u8, 1, 2, 0xFF].repeat(5_000)).reason,
        Reason::NotABookmarkFile
    );
    assert_eq!(failure(list("<DT><H3>Empty</H3><DL></DL>")).reason, Reason::NoBookmarks);
}

#[test]
fn much_text_without_a_bookmark_is_given_up_early() {
    let one_line = "word ".repeat(1024 * 1024);
    let mut parser = Parser::new(10);

    let failure = parser.push(one_line.as_bytes(), &mut Vec::new()).unwrap_err();

    assert_eq!((failure.reason, failure.line), (Reason::NotABookmarkFile, 1));
}

#[test]
fn endless_lists_fail_at_their_line() {
    let failure = failure("<DL><p>\n".repeat(100_000));

    assert_eq!((failure.reason, failure.line), (Reason::TooDeep, 1_001));
}

#[test]
fn one_row_too_many_fails_at_its_line() {
    let failure = failure("<DT><A HREF=https://a.example/>a</A>\n".repeat(1_001));

    assert_eq!((failure.reason, failure.line), (Reason::TooManyRows, 1_001));
}

#[test]
fn a_file_cut_in_a_link_keeps_what_is_there_and_names_the_line() {
    let file = "<DL><p>\n<DT><A HREF=\"https://a.example/\">a</A>\n<DT><A HREF=\"https://b.exam";

    let found = rows(file);

    assert_eq!((found.len(), found[1].line), (2, 3));
    assert_eq!(
        found[1].skip.as_deref(),
        Some("the file ends in the middle of this link")
    );
    assert_eq!(found[1].url, "https://b.exam");
}

#[test]
fn a_file_cut_elsewhere_has_a_warning_on_its_last_row() {
    let whole = "<DL><p>\n<DT><A HREF=\"https://a.example/\">a</A>\n";

    let warning = |more: &str| rows(format!("{whole}{more}")).pop().unwrap().warnings.pop().unwrap();

    assert_eq!(
        warning(""),
        "the file ends on line 3 with folders left open; it may have been cut off"
    );
    assert_eq!(
        warning("<DT><H3 ADD_DA"),
        "the file ends inside the tag that begins on line 3"
    );
    assert_eq!(
        warning("<!-- half"),
        "the file ends inside the tag that begins on line 3"
    );
    assert_eq!(
        warning("<DT><A HREF=x:y>Hal"),
        "the file ends on line 3 in the middle of this title"
    );
}

#[test]
fn a_bad_date_is_a_warning_and_never_a_lost_row() {
    for date in ["-1", "1e18", "NaN", "yesterday", "1000000000000000000"] {
        let row = one(&format!("<DT><A HREF=\"https://a.example/\" ADD_DATE=\"{date}\">a</A>"));

        assert_eq!((row.add_date, row.skip), (None, None));
        assert_eq!(row.warnings, [format!("ADD_DATE is no date: {date}")]);
    }
}

#[test]
fn bytes_that_are_no_text_are_replaced_with_a_warning_on_their_row() {
    let mut file = list("<DT><A HREF=https://a.example/>a</A>\n<DT><A HREF=https://b.example/>b@</A>\n<DT><A HREF=https://c.example/@>c</A>").into_bytes();
    for byte in &mut file {
        if *byte == b'@' {
            *byte = 0xFF;
        }
    }

    let found = rows(file);

    assert!(found[0].warnings.is_empty());
    assert_eq!((found[1].title.as_str(), found[1].warnings.len()), ("b\u{FFFD}", 1));
    assert_eq!(
        (found[2].url.as_str(), found[2].warnings.len()),
        ("https://c.example/\u{FFFD}", 1)
    );
}

#[test]
fn the_character_zero_is_left_out_with_a_warning() {
    let row = one("<DT><A HREF=\"https://a.example/\">a\0b</A>");

    assert_eq!(row.title, "ab");
    assert_eq!(row.warnings, ["the character U+0000 is left out"]);
}

#[test]
fn what_is_too_long_is_cut_or_skipped() {
    let title = "t".repeat(2_000);
    let text = "d".repeat(70_000);
    let url = "u".repeat(9_000);

    let row = one(&format!("<DT><A HREF=\"https://a.example/\">{title}</A><DD>{text}"));
    let far = one(&format!("<DT><A HREF=\"https://a.example/{url}\">a</A>"));

    assert_eq!((row.title.len(), row.description.len()), (1_024, 65_536));
    assert_eq!(
        row.warnings,
        [
            "the title is cut at 1024 bytes",
            "the description is cut at 65536 bytes"
        ]
    );
    assert_eq!(far.skip.as_deref(), Some("the URL is longer than 8192 bytes"));
}

#[test]
fn folders_beyond_the_limit_are_flattened_with_a_warning() {
    let open: String = (0..70).map(|number| format!("<DT><H3>{number}</H3><DL>")).collect();

    let row = one(&format!(
        "{open}<DT><A HREF=https://a.example/>a</A>{}",
        "</DL>".repeat(70)
    ));

    assert_eq!(row.folder.len(), 64);
    assert_eq!(
        row.warnings,
        ["the folders are nested too deep; the innermost are left out"]
    );
}

#[test]
fn unfit_and_relative_links_are_skipped_with_a_reason() {
    for url in [
        "javascript:alert(1)",
        "data:text/html,x",
        "place:sort=8",
        "/relative",
        "",
        "page.html",
    ] {
        let row = one(&format!("<DT><A HREF=\"{url}\">a</A>"));

        assert!(row.skip.is_some(), "{url}");
        assert_eq!(row.url, url);
    }
}
