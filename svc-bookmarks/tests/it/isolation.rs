//! Nobody sees or changes what is somebody else's.

use bookmesh_proto::bookmarks::v1::{Bookmark, ListBookmarksRequest, ListCollectionsRequest, ListTagsRequest};
use sqlx::{Connection, PgConnection, Row};
use tonic::Code;

use crate::app::{TestApp, reason};

#[tokio::test]
async fn what_is_somebody_elses_is_like_what_is_not_there() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.person(), app.person());
    let secret = ada
        .save("https://example.com/secret", "secret title", &["secret"])
        .await;
    ada.find("secret", secret.version).await;
    let unknown = bob.get(&uuid::Uuid::now_v7().to_string()).await.unwrap_err();

    let get = bob.get(&secret.id).await.unwrap_err();
    let update = bob
        .update(
            Bookmark {
                title: "x".to_owned(),
                ..secret.clone()
            },
            &["title"],
        )
        .await
        .unwrap_err();
    let delete = bob.delete(&secret.id, "").await.unwrap_err();
    let found = bob
        .list(ListBookmarksRequest {
            query: "secret".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    let by_tag = bob
        .list(ListBookmarksRequest {
            query: "tag:secret".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    let all = bob.list(ListBookmarksRequest::default()).await.unwrap();
    let tags = bob
        .bookmarks
        .clone()
        .list_tags(bob.request(ListTagsRequest::default()))
        .await
        .unwrap()
        .into_inner();
    let collections_request = bob.request(ListCollectionsRequest::default());
    let collections = bob.bookmarks.clone().list_collections(collections_request).await;

    for status in [get, update, delete] {
        assert_eq!((status.code(), status.message()), (unknown.code(), unknown.message()));
        assert_eq!(reason(&status), reason(&unknown));
    }
    for response in [found, by_tag, all] {
        assert_eq!((response.total_size, response.bookmarks.len()), (0, 0));
    }
    assert!(tags.tags.is_empty());
    assert!(collections.unwrap().into_inner().collections.is_empty());
    assert_eq!(ada.get(&secret.id).await.unwrap(), secret);
    assert!(
        bob.create(Bookmark {
            url: secret.url.clone(),
            ..Bookmark::default()
        })
        .await
        .is_ok()
    );
}

#[tokio::test]
async fn without_a_token_there_is_nothing() {
    let app = TestApp::start().await;
    let ada = app.person();

    let status = ada
        .bookmarks
        .clone()
        .list_bookmarks(ListBookmarksRequest::default())
        .await
        .unwrap_err();

    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn without_an_owner_the_database_shows_no_rows() {
    let app = TestApp::start().await;
    let ada = app.person();
    ada.save("https://example.com/", "x", &["t"]).await;
    ada.upsert("import/1/1", Vec::new()).await.unwrap();
    let mut connection = PgConnection::connect(&app.database.app_url).await.unwrap();

    for owner in ["", "00000000-0000-0000-0000-000000000001"] {
        sqlx::query("SELECT set_config('bookmesh.owner', $1, false)")
            .bind(owner)
            .execute(&mut connection)
            .await
            .unwrap();
        for table in [
            "owners",
            "bookmarks",
            "tags",
            "collections",
            "upsert_batches",
            "bookmark_details",
        ] {
            let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
            let row = sqlx::query(count).fetch_one(&mut connection).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), 0, "{table}");
        }
    }
    let foreign = "INSERT INTO owners (owner_id, version) VALUES (gen_random_uuid(), 1)";
    assert!(sqlx::query(foreign).execute(&mut connection).await.is_err());
}
