//! Files that are no good: never an error of ours, always a reason and a line.

use bookmesh_proto::{
    imports::v1::{Import, import::State, import_row::Outcome},
    task::v1::task,
};

use crate::app::{App, LIMITS, generated_file};

async fn imported(file: impl AsRef<[u8]>) -> Import {
    App::shared().await.user().import_file(file).await
}

async fn failure(file: impl AsRef<[u8]>) -> (String, i32) {
    let import = imported(file).await;
    assert_eq!(import.state(), State::Failed, "{import:?}");
    let failure = import.failure.unwrap();
    assert!(!failure.description.is_empty());
    (failure.reason, failure.line)
}

#[tokio::test]
async fn what_is_no_bookmark_file_fails_with_a_reason() {
    assert_eq!(failure("").await, ("EMPTY_FILE".to_owned(), 0));
    assert_eq!(
        failure("%PDF-1.7\n%\u{E2}").await,
        ("NOT_A_BOOKMARK_FILE".to_owned(), 1)
    );
    assert_eq!(
        failure("milk\neggs\nbread").await,
        ("NOT_A_BOOKMARK_FILE".to_owned(), 3)
    );
    assert_eq!(
        failure("<html><body>Hello</body></html>").await,
        ("NOT_A_BOOKMARK_FILE".to_owned(), 1)
    );
    assert_eq!(failure([0, 255].repeat(3_000)).await.0, "NOT_A_BOOKMARK_FILE");
    assert_eq!(
        failure("<DL><p>\n".repeat(900_000)).await,
        ("TOO_DEEP".to_owned(), 1_001)
    );
}

#[tokio::test]
async fn a_file_with_too_many_rows_fails_before_anything_is_saved() {
    let user = App::shared().await.user();

    let import = user.import_file(generated_file(LIMITS.max_rows + 1)).await;

    let failure = import.failure.unwrap();
    assert_eq!(failure.reason, "TOO_MANY_ROWS");
    assert!(failure.line > 20_000);
    assert_eq!(user.count_bookmarks().await, 0);
}

#[tokio::test]
async fn the_task_of_a_failed_import_fails_for_the_same_reason_at_once() {
    let user = App::shared().await.user();

    let import = user.import_file("no bookmarks").await;
    let task = user.wait_for_task(&import.task_id, task::State::Failed).await;

    assert_eq!(task.error.unwrap().reason, "NOT_A_BOOKMARK_FILE");
    assert_eq!(task.attempt, 1);
}

#[tokio::test]
async fn a_file_cut_in_half_keeps_what_is_there_and_names_the_line() {
    let file = generated_file(40);
    let half = &file[..file.find("/20\"").unwrap() - 3];
    let user = App::shared().await.user();

    let import = user.import_file(half).await;

    assert_eq!(import.state(), State::CompletedWithWarnings);
    assert_eq!(import.counts.unwrap().created, 20);
    let last = user.rows(&import.id).await.pop().unwrap();
    assert_eq!((last.line, last.outcome()), (25, Outcome::Skipped));
    assert_eq!(last.reason, "the file ends in the middle of this link");
}

#[tokio::test]
async fn invalid_utf_8_and_a_bad_date_are_warnings_on_their_rows() {
    let mut file = b"<DL>\n<DT><A HREF=https://a.example/>caf".to_vec();
    file.extend(b"\xE9</A>\n<DT><A HREF=https://b.example/ ADD_DATE=NaN>b\0</A>\n</DL>");
    let user = App::shared().await.user();

    let import = user.import_file(file).await;

    assert_eq!(import.state(), State::CompletedWithWarnings);
    let counts = import.counts.unwrap();
    assert_eq!((counts.created, counts.warnings), (2, 2));
    let rows = user.rows(&import.id).await;
    assert_eq!((rows[0].line, rows[0].warnings.len()), (2, 1));
    assert_eq!(
        rows[1].warnings,
        ["ADD_DATE is no date: NaN", "the character U+0000 is left out"]
    );
}

#[tokio::test]
async fn utf_16_is_imported_like_any_other_text() {
    let file: Vec<u8> = generated_file(3).encode_utf16().flat_map(u16::to_le_bytes).collect();

    let import = imported(file).await;

    assert_eq!((import.state(), import.counts.unwrap().created), (State::Completed, 3));
}
