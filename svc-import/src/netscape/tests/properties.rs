//! What holds for every input.

use proptest::prelude::*;

use super::*;

/// Bytes that are more often like a bookmark file than chance would have it.
fn hostile_file() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        Just(b"<DL><p>".to_vec()),
        Just(b"</DL>".to_vec()),
        Just(b"<DT><H3>a &amp;amp; b</H3>\n".to_vec()),
        Just(b"<DT><A HREF=\"https://a.example/?x=1&amp;y=2\" TAGS=a,b ADD_DATE='12'>T&#39;x".to_vec()),
        Just(b"</A>\r\n<DD>more <b>text</b>".to_vec()),
        Just(b"<A HREF=".to_vec()),
        Just(b"<!--".to_vec()),
        Just(b"-->".to_vec()),
        Just(b"<!DOCTYPE NETSCAPE-Bookmark-file-1>".to_vec()),
        Just("é漢\u{FEFF}".as_bytes().to_vec()),
        "[<>&;\"'=/! a-zA-Z\r\n\0-]{0,6}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(fragment, 0..60).prop_map(|fragments| fragments.concat())
}

fn link() -> impl Strategy<Value = Row> {
    let words = "[a-zA-Z0-9<>\"'é漢,;]( ?[a-zA-Z<>\"'é漢,;]){0,12}";
    let date = proptest::option::of(1_i64..4_000_000_000);
    let tags = proptest::collection::hash_set("[a-z]{1,8}", 0..4);
    let folder = proptest::collection::vec(words, 0..4);
    (
        words,
        words,
        "[a-z&=?/]{0,20}",
        date,
        tags,
        folder,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(title, description, path, date, tags, folder, private, to_read)| Row {
            line: 0,
            url: format!("https://a.example/{path}"),
            skip: None,
            title,
            description,
            tags: tags.into_iter().collect(),
            folder: folder.into(),
            add_date: date.map(|seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap()),
            private,
            to_read,
            warnings: Vec::new(),
        })
}

/// A bookmark file that has these rows, each inside folders of its own.
fn render(rows: &[Row]) -> String {
    let mut file = "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n".to_owned();
    for row in rows {
        let open: String = row
            .folder
            .iter()
            .map(|name| format!("<DT><H3>{}</H3>\n<DL><p>\n", escape(name)))
            .collect();
        let date = row
            .add_date
            .map(|date| format!(" ADD_DATE=\"{}\"", date.unix_timestamp()))
            .unwrap_or_default();
        let flags = format!(
            " PRIVATE=\"{}\" TOREAD=\"{}\"",
            u8::from(row.private),
            u8::from(row.to_read)
        );
        let attributes = format!(
            "HREF=\"{}\"{date}{flags} TAGS=\"{}\"",
            escape(&row.url),
            row.tags.join(",")
        );
        let link = format!(
            "<DT><A {attributes}>{}</A>\n<DD>{}\n",
            escape(&row.title),
            escape(&row.description)
        );
        file.push_str(&format!("{open}{link}{}", "</DL><p>\n".repeat(row.folder.len())));
    }
    file + "</DL><p>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(file in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = parse(&file, 100);
    }

    #[test]
    fn how_the_file_is_split_changes_nothing(file in hostile_file(), chunk_bytes in 1_usize..40) {
        prop_assert_eq!(parse(&file, chunk_bytes), parse(&file, usize::MAX));
    }

    #[test]
    fn rows_come_back_as_they_were_written(rows in proptest::collection::vec(link(), 1..12)) {
        let mut found = parse(render(&rows).as_bytes(), 64).unwrap();
        found.iter_mut().for_each(|row| row.line = 0);

        prop_assert_eq!(found, rows);
    }
}
