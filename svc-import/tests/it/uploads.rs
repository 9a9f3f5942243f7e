//! Files that are imported.

use std::time::Duration;

use bookmesh_proto::{
    imports::v1::{import::State, import_row::Outcome},
    task::v1::task,
};
use devstack::{Devstack, Ports};
use tokio_stream::StreamExt;
use tonic::Code;

use crate::app::{App, LIMITS, broken_upload, generated_file, messages};

const FILE: &str = include_str!("../fixtures/firefox.html");

#[tokio::test]
async fn a_browsers_file_becomes_bookmarks_and_every_row_has_an_outcome() {
    let user = App::shared().await.user();

    let queued = user.upload(FILE).await.unwrap();
    let import = user.wait_for_end(&queued.id).await;

    assert_eq!(queued.state(), State::Queued);
    assert_eq!(
        (queued.file_name.as_str(), queued.size_bytes),
        ("bookmarks.html", FILE.len() as i64)
    );
    let counts = import.counts.unwrap();
    assert_eq!(
        (counts.rows, counts.created, counts.skipped, counts.warnings),
        (6, 5, 1, 0)
    );
    assert_eq!(import.state(), State::CompletedWithWarnings);
    let rows = user.rows(&import.id).await;
    let lines: Vec<(i32, Outcome)> = rows.iter().map(|row| (row.line, row.outcome())).collect();
    let created = Outcome::Created;
    let expected = [
        (11, Outcome::Skipped),
        (12, created),
        (17, created),
        (20, created),
        (23, created),
        (26, created),
    ];
    assert_eq!(lines, expected);
    assert_eq!(rows[0].reason, "the URL is a query of Firefox's own: place");
    let bookmarks = user.bookmarks().await;
    let cups = bookmarks
        .iter()
        .find(|bookmark| bookmark.id == rows[3].bookmark_id)
        .unwrap();
    assert_eq!(cups.collections[0].names, ["Kitchen", "Cups, bowls/plates"]);
    assert_eq!(bookmarks.len(), 5);
}

#[tokio::test]
async fn the_task_says_how_far_it_is_and_succeeds() {
    let user = App::shared().await.user();

    let import = user.import_file(generated_file(1_200)).await;
    let task = user.wait_for_task(&import.task_id, task::State::Succeeded).await;

    assert_eq!(import.state(), State::Completed);
    assert_eq!(
        (task.kind.as_str(), task.subject),
        ("import", format!("/v1/imports/{}", import.id))
    );
    let progress = task.progress.unwrap();
    assert_eq!((progress.done, progress.total), (1_200, 1_200));
}

#[tokio::test]
async fn the_same_file_again_changes_nothing_and_says_so() {
    let user = App::shared().await.user();
    user.import_file(generated_file(700)).await;

    let again = user.import_file(generated_file(700)).await;

    let counts = again.counts.unwrap();
    assert_eq!(
        (counts.rows, counts.unchanged, counts.created, counts.merged),
        (700, 700, 0, 0)
    );
    assert_eq!(again.state(), State::Completed);
    assert_eq!(user.count_bookmarks().await, 700);
}

#[tokio::test]
async fn a_link_that_comes_twice_is_merged_and_nothing_is_lost() {
    let user = App::shared().await.user();
    let link = |folder: &str, tag: &str| {
        format!("<DT><H3>{folder}</H3><DL><DT><A HREF=https://a.example/ TAGS={tag}>a</A></DL>\n")
    };

    let import = user
        .import_file(format!("<DL>\n{}{}</DL>", link("One", "x"), link("Two", "y")))
        .await;

    let counts = import.counts.unwrap();
    assert_eq!((counts.created, counts.merged), (1, 1));
    let bookmark = user.bookmarks().await.remove(0);
    assert_eq!((bookmark.tags.len(), bookmark.collections.len()), (2, 2));
}

#[tokio::test]
async fn the_same_file_while_its_import_is_unfinished_is_that_import() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let mut app = App::start_without_import_and_task(stack.nats_url()).await;
    // Without svc-task no import is finished.
    app.start_import();
    let user = app.user();
    let first = user.upload(generated_file(300)).await.unwrap();

    let second = user.upload(generated_file(300)).await.unwrap();
    let of_another = app.user().upload(generated_file(300)).await.unwrap();
    let owner = user.clone_credentials();
    app.start_task();

    assert_eq!(second.id, first.id);
    assert_ne!(of_another.id, first.id);
    let user = app.user_with(&owner);
    assert_eq!(user.wait_for_end(&first.id).await.counts.unwrap().created, 300);
    assert_eq!(user.list(0, "").await.unwrap().imports.len(), 1);
}

#[tokio::test]
async fn too_many_unfinished_imports_are_refused() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let mut app = App::start_without_import_and_task(stack.nats_url()).await;
    // Without svc-task no import is finished.
    app.start_import();
    let user = app.user();
    for number in 0..LIMITS.max_unfinished {
        let links = 100 + usize::try_from(number).unwrap();
        user.upload(generated_file(links)).await.unwrap();
    }

    let status = user.upload("<DL>").await.unwrap_err();

    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(service::status::reason(&status).as_deref(), Some("TOO_MANY_IMPORTS"));
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_refused_and_leaves_nothing() {
    let user = App::shared().await.user();

    let status = user
        .upload(vec![b' '; usize::try_from(LIMITS.max_bytes).unwrap() + 1])
        .await
        .unwrap_err();

    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "file must be at most 8000000 bytes")
    );
    assert!(user.list(0, "").await.unwrap().imports.is_empty());
    assert_eq!(files_of(&user.id.to_string()).await, 0);
}

#[tokio::test]
async fn a_file_name_with_a_zero_in_it_is_refused() {
    let user = App::shared().await.user();

    let status = user.upload_named("a\0b", FILE).await.unwrap_err();

    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("file_name"), "{status}");
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_before_the_file_is_there_and_leaves_nothing() {
    let user = App::shared().await.user();
    let mut first = messages("half.html", FILE.as_bytes()).remove(0);
    first.request_id = "k".repeat(129);
    // The file never comes.
    let mut request = user.request(tokio_stream::iter([first]).chain(tokio_stream::pending()));
    request.set_timeout(Duration::from_secs(20));

    let at_once = user.imports().await.create_import(request).await.unwrap_err();
    let whole = user.upload_once("a\0b", FILE).await.unwrap_err();

    for status in [at_once, whole] {
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().starts_with("request_id"), "{status}");
    }
    assert_eq!(files_of(&user.id.to_string()).await, 0);
}

#[tokio::test]
async fn a_file_that_another_request_has_named_leaves_nothing_of_itself() {
    let user = App::shared().await.user();
    let first = user.upload_once("8e03978e", FILE).await.unwrap();
    user.wait_for_end(&first.id).await;

    user.upload_once("8e03978e", generated_file(4)).await.unwrap_err();

    assert_eq!(files_of(&user.id.to_string()).await, 1, "the file of the first");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let user = App::shared().await.user();
    let mut request = user.request(broken_upload(FILE.as_bytes()));
    request.set_timeout(Duration::from_millis(300));

    user.imports().await.create_import(request).await.unwrap_err();

    assert!(user.list(0, "").await.unwrap().imports.is_empty());
    assert_eq!(files_of(&user.id.to_string()).await, 0);
}

#[tokio::test]
async fn a_caller_who_hangs_up_when_the_file_is_there_leaves_no_file_without_an_import() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let mut app = App::start_without_import_and_task(stack.nats_url()).await;
    app.start_import();
    let user = app.user();
    let held = app.hold_inserts().await;
    let is_whole = until(async || files_in(&app, &user.id.to_string()) == 1);

    tokio::select! {
        answer = user.upload(FILE) => panic!("{answer:?}"),
        () = is_whole => {}
    }
    drop(held);

    until(async || user.list(0, "").await.unwrap().imports.len() == 1).await;
}

async fn until(is_so: impl AsyncFn() -> bool) {
    for _ in 0..1_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never comes true");
}

/// Finished files of an owner in the object folder.
async fn files_of(owner: &str) -> usize {
    files_in(App::shared().await, owner)
}

fn files_in(app: &App, owner: &str) -> usize {
    let folder = app.folder.path().join("imports").join(owner);
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter(|entry| !entry.as_ref().unwrap().file_name().to_string_lossy().contains('#'))
        .count()
}
