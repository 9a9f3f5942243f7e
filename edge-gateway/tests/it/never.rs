//! What the edge never has: a database, and a word of the business. Redis holds its limits, and nothing that must last.

use std::{fs, path::Path};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

#[test]
fn the_edge_depends_on_no_database_and_handles_no_event() {
    let manifest = include_str!("../../Cargo.toml");

    // It hears of events only to forget answers: whatever needs their content is a service. Redis has limits and nothing else.
    for dependency in ["sqlx", "postgres", "outbox"] {
        assert!(!manifest.contains(dependency), "{dependency}");
    }
}

#[test]
fn the_edge_has_no_word_of_the_business() {
    let mut sources = Vec::new();
    collect(Path::new(SOURCES), &mut sources);

    assert!(sources.len() > 10, "the sources were found");
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let words = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in words {
            // What Kubernetes calls its own events is none of ours.
            let line = line.replace("allowWatchBookmarks", "");
            assert!(
                !line.to_lowercase().contains("bookmark"),
                "{}: {line}",
                source.display()
            );
        }
    }
}

fn collect(folder: &Path, sources: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.is_file() {
            sources.push(path);
        }
    }
}
