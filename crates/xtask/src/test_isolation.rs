//! `test-isolation`: builds the services without the owner filters of their queries, and shows that row-level security alone
//! keeps users apart.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use regex::Regex;

use crate::run;

/// Where queries are written, and what they must lose at least once.
const SERVICES: [&str; 5] = ["svc-auth", "svc-bookmarks", "svc-import", "svc-task", "svc-enrich"];
/// In queries, and in functions of the database, which name their argument so.
const FILTERS: [(&str, &str); 2] = [
    (r"(?:\w+\.)?(?:owner_id|user_id) = \$(\d+)", "$$${1}::uuid IS NOT NULL"),
    (r"(?:\w+\.)?(?:owner_id|user_id) = owner\b", "owner IS NOT NULL"),
];

/// Works on a copy of the sources, with a target folder of its own: binaries like these must never be taken for real ones.
pub(crate) fn test_isolation() -> anyhow::Result<()> {
    devstack::install()?;
    let folder = run::target_folder()?.join("without-owner-filters");
    let sources = folder.join("sources");
    copy(&sources)?;
    for service in SERVICES {
        let removed = remove_filters(&sources.join(service))?;
        println!("{service}: {removed} owner filters removed");
        ensure!(
            removed > 0,
            "{service} has no owner filter; what do its queries look like now?"
        );
    }
    let cargo = |arguments: &[&str]| -> Command {
        let mut command = run::cargo(arguments);
        command.current_dir(&sources).env("CARGO_TARGET_DIR", &folder);
        command
    };
    run::run(&mut cargo(&["xtask", "sqlx"]))?;
    run::run(&mut cargo(&["build", "--workspace", "--bins"]))?;
    run::run(&mut cargo(&["test", "--workspace", "--test", "isolation"]))
}

/// What git knows of, as it is in the working tree. Times are kept, so that cargo compiles no more than has changed.
fn copy(destination: &Path) -> anyhow::Result<()> {
    if destination.exists() {
        fs::remove_dir_all(destination).context("removing the copy before this one")?;
    }
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("asking git for the files")?;
    let names = String::from_utf8(listed.stdout).context("reading the names of the files")?;
    for name in names.split_terminator('\0').filter(|name| Path::new(name).is_file()) {
        copy_file(Path::new(name), &destination.join(name)).with_context(|| format!("copying {name}"))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to)?;
    let modified = fs::metadata(from)?.modified()?;
    fs::File::options().append(true).open(to)?.set_modified(modified)?;
    Ok(())
}

/// Answers how many were there.
fn remove_filters(service: &Path) -> anyhow::Result<usize> {
    let mut removed = 0;
    for file in files(&service.join("src"))?
        .into_iter()
        .chain(files(&service.join("migrations"))?)
    {
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let mut changed = text.clone();
        for (filter, nothing) in FILTERS {
            let filter = Regex::new(filter)?;
            removed += filter.find_iter(&changed).count();
            changed = filter.replace_all(&changed, nothing).into_owned();
        }
        if changed != text {
            fs::write(&file, changed).with_context(|| format!("writing {}", file.display()))?;
        }
    }
    Ok(removed)
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
