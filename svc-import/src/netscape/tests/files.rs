//! Files as browsers and bookmark services write them.

use super::*;

fn summary(file: &str) -> Vec<String> {
    rows(file)
        .iter()
        .map(|row| format!("{} {} {:?} [{}]", row.line, row.url, row.title, row.folder.join("|")))
        .collect()
}

#[test]
fn firefox_puts_a_description_between_heading_and_list_and_a_rule_before_a_link() {
    let file = include_str!("../../../tests/fixtures/firefox.html");

    let found = rows(file);

    assert_eq!(
        summary(file),
        [
            "11 place:sort=8&maxResults=10 \"Most Visited\" []",
            "12 https://tea.example/ \"Tea\" []",
            "17 https://kettle.example/?a=1&b=2 \"Kettles & pots\" [Kitchen]",
            "20 https://cup.example/ \"Cups\" [Kitchen|Cups, bowls/plates]",
            "23 https://spoon.example/ \"Spoons\" [Kitchen]",
            "26 https://end.example/ \"End\" []",
        ]
    );
    assert_eq!(
        found[0].skip.as_deref(),
        Some("the URL is a query of Firefox's own: place")
    );
    assert_eq!(found[2].tags, ["tea", "hot water", "steam"]);
    assert_eq!(found[2].description, "Boils water.\nTwice…");
    assert_eq!(found[2].add_date.unwrap().unix_timestamp(), 1_456_433_748);
    assert!(found.iter().all(|row| row.warnings.is_empty()));
}

#[test]
fn safari_leaves_out_the_root_list() {
    let file = include_str!("../../../tests/fixtures/safari.html");

    assert_eq!(
        summary(file),
        [
            "7 https://one.example/ \"One\" [Favourites]",
            "14 https://two.example/ \"Two\" [Other|Deep]",
        ]
    );
}

#[test]
fn services_write_tags_flags_and_text_dates() {
    let file = include_str!("../../../tests/fixtures/service.html");

    let found = rows(file);

    assert_eq!(found[0].tags, ["private", "secret"]);
    assert_eq!(found[0].add_date.unwrap().unix_timestamp(), 971_175_336);
    assert!(found[0].private && !found[0].to_read);
    assert!(!found[1].private && found[1].to_read);
    assert_eq!(found[1].tags, ["rust", "async"]);
    assert_eq!(found[1].description, "First line\nsecond with a link and bold\n\nlast");
    assert_eq!(found.len(), 2);
}

#[test]
fn nothing_needs_to_be_closed_and_case_does_not_matter() {
    let file = "<dl><dt><h3>A</h3><dl><dt><a href=https://a.example/>a<dt><a HREF='https://b.example/'>b<hr><DT><A Href=\"https://c.example/\">c";

    assert_eq!(
        summary(file),
        [
            "1 https://a.example/ \"a\" [A]",
            "1 https://b.example/ \"b\" [A]",
            "1 https://c.example/ \"c\" [A]"
        ]
    );
}

#[test]
fn links_without_terms_are_rows_once_the_file_is_known() {
    let file =
        "<!DOCTYPE netscape-bookmark-file-1><a href=https://a.example/>a</a><dd>of a<a href=https://b.example/>b</a>";

    assert_eq!(
        summary(file),
        ["1 https://a.example/ \"a\" []", "1 https://b.example/ \"b\" []"]
    );
    assert_eq!(rows(file)[0].description, "of a");
}

#[test]
fn markup_in_a_title_is_stripped_and_its_text_kept() {
    assert_eq!(
        one("<DT><A HREF=\"https://a.example/\"><b>Bold</b> &amp; <i>thin</i><br>line</A>").title,
        "Bold & thin line"
    );
}

#[test]
fn a_heading_ends_a_description_and_names_the_next_list() {
    let file = list(
        "<DT><A HREF=https://a.example/>a</A><DD>text<H3>Folder</H3><DL><DT><A HREF=https://b.example/>b</A></DL>",
    );

    assert_eq!(rows(&file)[0].description, "text");
    assert_eq!(*rows(&file)[1].folder, ["Folder"]);
}

#[test]
fn icons_of_megabytes_pass_by() {
    let icon = "A".repeat(3 * 1024 * 1024);

    let row = one(&format!(
        "<DT><A HREF=\"https://a.example/\" ICON=\"data:image/png;base64,{icon}\" ADD_DATE=\"7\">a</A>"
    ));

    assert_eq!(row.add_date.unwrap().unix_timestamp(), 7);
    assert!(row.warnings.is_empty());
}

#[test]
fn utf_16_and_windows_1252_files_are_read() {
    let text = list("<DT><A HREF=\"https://a.example/\">caf\u{E9}</A>");
    let utf_16: Vec<u8> = format!("\u{FEFF}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut latin = b"<META CONTENT=\"text/html; charset=iso-8859-1\">\n".to_vec();
    latin.extend(
        text.chars()
            .map(|character| u8::try_from(u32::from(character)).unwrap()),
    );

    for file in [utf_16, latin] {
        assert_eq!(rows(&file)[0].title, "caf\u{E9}");
        assert!(rows(&file)[0].warnings.is_empty());
    }
}
