//! Uploads that their callers have named happen once.

use tonic::Code;

use crate::app::{App, generated_file};

#[tokio::test]
async fn an_upload_that_comes_again_gets_the_same_answer_and_imports_nothing() {
    let user = App::shared().await.user();
    let first = user.upload_once("8e03978e", generated_file(3)).await.unwrap();
    // The rule that a file is not imported twice at a time does not help any more.
    user.wait_for_end(&first.id).await;

    let again = user.upload_once("8e03978e", generated_file(3)).await.unwrap();

    assert_eq!(again, first);
    assert_eq!(user.list(0, "").await.unwrap().imports.len(), 1);
    let unnamed = user.upload(generated_file(3)).await.unwrap();
    assert_ne!(unnamed.id, first.id);
}

#[tokio::test]
async fn the_same_name_for_another_file_is_refused() {
    let user = App::shared().await.user();
    let first = user.upload_once("8e03978e", generated_file(3)).await.unwrap();

    let other = user.upload_once("8e03978e", generated_file(4)).await.unwrap_err();
    let too_long = user.upload_once(&"k".repeat(129), generated_file(3)).await.unwrap_err();

    assert_eq!(other.code(), Code::FailedPrecondition);
    assert_eq!(
        service::status::reason(&other).as_deref(),
        Some("IDEMPOTENCY_KEY_REUSED")
    );
    assert_eq!(too_long.code(), Code::InvalidArgument);
    assert_eq!(user.wait_for_end(&first.id).await.counts.unwrap().rows, 3);
    assert_eq!(user.list(0, "").await.unwrap().imports.len(), 1);
}
