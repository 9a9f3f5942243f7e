//! GetEnrichment.

use bookmesh_proto::enrich::v1::{GetEnrichmentRequest, enrichment::Source};
use sqlx::Row;
use tonic::Code;
use uuid::Uuid;

use crate::app::{TestApp, TestEvent, bees};

#[tokio::test]
async fn a_new_bookmark_gets_proposals_that_are_marked_as_such() {
    let app = TestApp::start().await;
    let (owner, bookmark) = (Uuid::now_v7(), bees(7));
    app.tell(&TestEvent::created(owner, [&bookmark])).await;

    let enrichment = app.get(owner, &bookmark.id).await.unwrap();

    let names: Vec<&str> = enrichment.tags.iter().map(|tag| tag.name.as_str()).collect();
    assert!(names.contains(&"bees"), "{names:?}");
    assert!(!names.contains(&"garden"), "the bookmark has it already: {names:?}");
    assert_eq!(enrichment.bookmark_id, bookmark.id);
    assert_eq!(enrichment.bookmark_version, 7);
    assert_eq!(enrichment.summary, bookmark.description);
    assert_eq!(enrichment.source(), Source::LocalExtractor);
    assert!(enrichment.tags.iter().all(|tag| tag.source() == Source::LocalExtractor));
    assert!(enrichment.create_time.is_some());
}

#[tokio::test]
async fn what_is_anothers_is_not_found_like_what_is_not_there_and_what_is_no_id() {
    let app = TestApp::start().await;
    let (owner, stranger, bookmark) = (Uuid::now_v7(), Uuid::now_v7(), bees(1));
    app.tell(&TestEvent::created(owner, [&bookmark])).await;

    let anothers = app.get(stranger, &bookmark.id).await.unwrap_err();
    for id in [Uuid::now_v7().to_string(), "no id".to_owned(), String::new()] {
        let unknown = app.get(owner, &id).await.unwrap_err();

        assert_eq!(unknown.code(), Code::NotFound);
        assert_eq!(unknown.message(), anothers.message());
        assert_eq!(unknown.details(), anothers.details());
    }
}

#[tokio::test]
async fn nobody_gets_anything_without_a_token() {
    let app = TestApp::start().await;

    let answer = app.client.clone().get_enrichment(GetEnrichmentRequest::default()).await;

    assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn without_an_owner_the_database_shows_the_service_no_row() {
    let app = TestApp::start().await;
    let owner = Uuid::now_v7();
    app.tell(&TestEvent::created(owner, [&bees(1)])).await;
    let mut connection = app.app_role().await;

    let count = "SELECT count(*) FROM enrichments";
    let unowned: i64 = sqlx::query(count).fetch_one(&mut connection).await.unwrap().get(0);
    let set_owner = sqlx::query("SELECT set_config('bookmesh.owner', $1, false)").bind(owner.to_string());
    set_owner.execute(&mut connection).await.unwrap();
    let owned: i64 = sqlx::query(count).fetch_one(&mut connection).await.unwrap().get(0);

    assert_eq!((unowned, owned), (0, 1));
}
