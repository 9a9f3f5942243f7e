//! Pages of imports and of rows.

use bookmesh_proto::imports::v1::{ListImportRowsRequest, import_row::Outcome};
use tonic::Code;

use crate::app::{App, User, generated_file};

#[tokio::test]
async fn imports_come_newest_first_a_page_at_a_time() {
    let user = App::shared().await.user();
    let mut ids = Vec::new();
    for links in 1..=3 {
        ids.push(user.import_file(generated_file(links)).await.id);
    }

    let first = user.list(2, "").await.unwrap();
    let second = user.list(2, &first.next_page_token).await.unwrap();

    let found: Vec<String> = first
        .imports
        .into_iter()
        .chain(second.imports)
        .map(|import| import.id)
        .collect();
    ids.reverse();
    assert_eq!(found, ids);
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn rows_come_in_the_order_of_the_file_a_page_at_a_time() {
    let user = App::shared().await.user();
    let import = user.import_file(generated_file(250)).await;

    let mut lines = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListImportRowsRequest {
            page_token,
            ..page(&import.id, 100)
        };
        let page = user
            .imports()
            .await
            .list_import_rows(user.request(request))
            .await
            .unwrap()
            .into_inner();
        lines.extend(page.rows.iter().map(|row| row.line));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }

    assert_eq!(lines.len(), 250);
    assert!(lines.is_sorted());
}

#[tokio::test]
async fn rows_of_one_outcome_can_be_asked_for() {
    let user = App::shared().await.user();
    let import = user
        .import_file("<DL>\n<DT><A HREF=/relative>a</A>\n<DT><A HREF=https://a.example/>a</A></DL>")
        .await;

    let request = ListImportRowsRequest {
        outcome: Outcome::Skipped.into(),
        ..page(&import.id, 0)
    };
    let rows = user
        .imports()
        .await
        .list_import_rows(user.request(request))
        .await
        .unwrap()
        .into_inner()
        .rows;

    assert_eq!((rows.len(), rows[0].url.as_str()), (1, "/relative"));
}

#[tokio::test]
async fn bad_pages_are_refused_with_the_field() {
    let user = App::shared().await.user();
    let import = user.import_file(generated_file(3)).await;
    let first = user
        .imports()
        .await
        .list_import_rows(user.request(page(&import.id, 1)))
        .await
        .unwrap()
        .into_inner();

    let negative = user.list(-1, "").await.unwrap_err();
    let garbage = user.list(0, "garbage").await.unwrap_err();
    let of_another_query = user.list(0, &first.next_page_token).await.unwrap_err();
    let outcome = refused(
        &user,
        ListImportRowsRequest {
            outcome: 99,
            ..page(&import.id, 1)
        },
    )
    .await;

    for (status, field) in [
        (negative, "page_size"),
        (garbage, "page_token"),
        (of_another_query, "page_token"),
        (outcome, "outcome"),
    ] {
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(field), "{status}");
    }
}

async fn refused(user: &User<'_>, request: ListImportRowsRequest) -> tonic::Status {
    user.imports()
        .await
        .list_import_rows(user.request(request))
        .await
        .unwrap_err()
}

fn page(id: &str, page_size: i32) -> ListImportRowsRequest {
    ListImportRowsRequest {
        id: id.to_owned(),
        page_size,
        ..Default::default()
    }
}
