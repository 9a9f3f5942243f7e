//! Nobody sees the imports of others.

use bookmesh_proto::imports::v1::{
    GetImportRequest, ListImportRowsRequest, import_service_client::ImportServiceClient,
};
use tonic::Code;

use crate::app::{App, generated_file, messages};

#[tokio::test]
async fn an_import_of_another_user_is_like_an_unknown_one() {
    let app = App::shared().await;
    let (owner, stranger) = (app.user(), app.user());
    let import = owner.import_file(generated_file(2)).await;

    let unknown = stranger
        .import("018f0000-0000-7000-8000-000000000000")
        .await
        .unwrap_err();
    let malformed = stranger.import("no id").await.unwrap_err();
    let foreign = stranger.import(&import.id).await.unwrap_err();
    let rows = ListImportRowsRequest {
        id: import.id.clone(),
        ..Default::default()
    };
    let foreign_rows = stranger
        .imports()
        .await
        .list_import_rows(stranger.request(rows))
        .await
        .unwrap_err();

    assert_eq!(foreign.code(), Code::NotFound);
    for status in [malformed, foreign, foreign_rows] {
        assert_eq!((status.code(), status.message()), (unknown.code(), unknown.message()));
    }
    assert!(stranger.list(0, "").await.unwrap().imports.is_empty());
}

#[tokio::test]
async fn nobody_gets_in_without_a_token() {
    let app = App::shared().await;
    let mut client = ImportServiceClient::connect(app.import_url()).await.unwrap();

    let get = client.get_import(GetImportRequest::default()).await.unwrap_err();
    let create = client
        .create_import(tokio_stream::iter(messages("a", b"<DL>")))
        .await
        .unwrap_err();

    assert_eq!(
        (get.code(), create.code()),
        (Code::Unauthenticated, Code::Unauthenticated)
    );
}
