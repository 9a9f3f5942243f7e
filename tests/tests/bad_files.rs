//! Files that are no export, or a broken one: the import ends, says why, and takes what it can, in bounded memory.

use std::time::Duration;

use anyhow::{Context, Result};
use devstack::platform::Platform;
use reqwest::Body;
use serde_json::Value;
use system_tests::{Client, Export, ExportShape, start_platform, usage};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(60);
const SHAPE: ExportShape = ExportShape {
    bookmarks: 1_000,
    folders: 20,
};
const SOON: Duration = Duration::from_secs(30);
const CUT_IN_A_LINK: &str = "<DL><p>\n<DT><A HREF=\"https://a.example/\">A</A>\n\n<DT><A HREF=\"https://b.exa";
const NOT_UTF_8: &[u8] = b"<DL><p>\n<DT><A HREF=\"https://c.example/\">caf\xE9 \xFF</A>\n</DL>";
const MEBIBYTE: usize = 1 << 20;
const MAX_MEMORY_BYTES: u64 = 128 << 20;

#[tokio::test]
async fn a_file_that_is_no_export_ends_failed_and_says_why() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "wrong-file@example.com").await?;

    for (file, reason) in [
        ("%PDF-1.7 not bookmarks", "NOT_A_BOOKMARK_FILE"),
        ("just a text", "NOT_A_BOOKMARK_FILE"),
        ("", "EMPTY_FILE"),
    ] {
        let import = import(&client, file).await?;

        assert_eq!(import["state"], "FAILED", "{import}");
        assert_eq!(import["failure"]["reason"], reason, "{import}");
        assert_ne!(import["failure"]["description"], "", "{import}");
    }
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_broken_export_gives_what_is_whole_and_names_the_line_of_the_rest() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "broken-file@example.com").await?;
    let export = Export::generate("broken", SHAPE);

    let half = import(&client, export.html[..export.html.len() / 2].to_owned()).await?;
    let cut = import(&client, CUT_IN_A_LINK).await?;
    let garbled = import(&client, NOT_UTF_8).await?;

    for import in [&half, &cut, &garbled] {
        assert_eq!(import["state"], "COMPLETED_WITH_WARNINGS", "{import}");
    }
    assert_eq!(half["counts"]["created"], SHAPE.bookmarks / 2, "{half}");
    let warning = last_row(&client, &half).await?["warnings"][0].to_string();
    assert!(warning.contains("may have been cut off"), "{warning}");
    let skipped = last_row(&client, &cut).await?;
    assert_eq!(skipped["line"], 4, "{skipped}");
    assert_eq!(skipped["outcome"], "SKIPPED", "{skipped}");
    assert_eq!(skipped["reason"], "the file ends in the middle of this link");
    let replaced = last_row(&client, &garbled).await?;
    assert_eq!(replaced["line"], 2, "{replaced}");
    assert_eq!(replaced["outcome"], "CREATED", "{replaced}");
    assert!(replaced["warnings"][0].to_string().contains("U+FFFD"), "{replaced}");
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_export_in_utf_16_is_read() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "utf-16@example.com").await?;
    let with_mark = "\u{FEFF}<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n<DT><A HREF=\"https://a.example/\">caf\u{e9}</A>\n</DL>\n";

    let encoded = |host, to_bytes| utf_16(&with_mark.replace("a.example", host), to_bytes);

    for (url, file) in [
        ("https://little.example/", encoded("little.example", u16::to_le_bytes)),
        ("https://big.example/", encoded("big.example", u16::to_be_bytes)),
    ] {
        let import = import(&client, file).await?;

        assert_eq!(import["state"], "COMPLETED", "{import}");
        let bookmarks = client.bookmarks("").await?;
        assert_eq!(bookmarks[url]["title"], "caf\u{e9}");
    }
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn endless_folders_fail_soon_and_in_little_memory() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "deep@example.com").await?;
    let piece = bytes::Bytes::from("<DL>".repeat(MEBIBYTE / 4));
    let pieces = tokio_stream::iter((0..300).map(move |_| Ok::<_, std::io::Error>(piece.clone())));

    let started = Instant::now();
    let import = import(&client, Body::wrap_stream(pieces)).await?;

    assert_eq!(import["state"], "FAILED", "{import}");
    assert_eq!(import["failure"]["reason"], "TOO_DEEP", "{import}");
    let elapsed = started.elapsed();
    assert!(elapsed < SOON, "it took {elapsed:?}");
    for name in ["edge-gateway", "svc-import"] {
        let peak = peak_memory(&platform, name)?;
        assert!(peak < MAX_MEMORY_BYTES, "{name} had {} MiB", peak / MEBIBYTE as u64);
    }
    platform.stop().await;
    Ok(())
}

fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

fn peak_memory(platform: &Platform, name: &str) -> Result<u64> {
    let pid = platform.pid(name).context("the process runs")?;
    Ok(usage(pid)?.peak_memory_bytes)
}

async fn last_row(client: &Client, import: &Value) -> Result<Value> {
    let id = import["id"].as_str().unwrap_or_default();
    let mut page = client.get(&format!("/v1/imports/{id}/rows?pageSize=1000")).await?;
    let rows = page.body["rows"].as_array_mut().context("an import has rows")?;
    rows.pop().context("the import has a row")
}

async fn import(client: &Client, file: impl Into<Body>) -> Result<Value> {
    let import = client.upload(file).await?;
    let id = import["id"].as_str().unwrap_or_default();
    let has_ended = |import: &Value| !matches!(import["state"].as_str(), Some("QUEUED" | "RUNNING"));
    client.wait_for_import(id, LIMIT, has_ended).await
}
