//! What users call: it works, it is not theirs, it is nonsense.

use bookmesh_proto::task::v1::{CancelTaskRequest, GetTaskRequest, ListTasksRequest, WatchTaskRequest, task::State};
use tonic::Code;
use uuid::Uuid;

use crate::app::{App, fields, new_task, reason};

#[tokio::test]
async fn a_created_task_is_queued_and_its_owner_sees_it() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let request = new_task(Uuid::now_v7());

    let created = app
        .services()
        .create_task(app.for_owner(owner, request.clone()))
        .await
        .unwrap()
        .into_inner();

    assert_eq!(
        (created.state(), created.version, created.attempt),
        (State::Queued, 1, 0)
    );
    assert_eq!(
        (&created.kind, &created.subject, created.max_attempts),
        (&request.kind, &request.subject, 3)
    );
    assert_eq!(app.get(owner, &request.id).await, created);
}

#[tokio::test]
async fn creating_the_same_task_again_changes_nothing() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let request = new_task(Uuid::now_v7());
    let first = app
        .services()
        .create_task(app.for_owner(owner, request.clone()))
        .await
        .unwrap()
        .into_inner();

    let second = app
        .services()
        .create_task(app.for_owner(owner, request.clone()))
        .await
        .unwrap()
        .into_inner();
    let foreign = app
        .services()
        .create_task(app.for_owner(Uuid::now_v7(), request))
        .await
        .unwrap_err();

    assert_eq!(first, second);
    assert_eq!(reason(&foreign), (Code::AlreadyExists, "TASK_ID_TAKEN".to_owned()));
}

#[tokio::test]
async fn creating_nonsense_names_every_field() {
    let app = App::new().await;
    let mut request = new_task(Uuid::now_v7());
    request.id = "1".to_owned();
    request.kind = "import.>".to_owned();
    request.subject = "\0".to_owned();
    request.max_attempts = -1;

    let error = app
        .services()
        .create_task(app.for_owner(Uuid::now_v7(), request))
        .await
        .unwrap_err();

    assert_eq!(fields(&error), ["id", "kind", "subject", "max_attempts"]);
}

#[tokio::test]
async fn somebody_elses_task_is_not_found_by_any_rpc() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let stranger = Uuid::now_v7();
    let id = app.create(owner).await;
    let mut users = app.users();

    let get = users
        .get_task(app.by(stranger, GetTaskRequest { id: id.clone() }))
        .await
        .unwrap_err();
    let cancel = users
        .cancel_task(app.by(stranger, CancelTaskRequest { id: id.clone() }))
        .await
        .unwrap_err();
    let watch = users
        .watch_task(app.by(stranger, WatchTaskRequest { id: id.clone() }))
        .await
        .unwrap_err();
    let claim = app.claim(stranger, &id, 5.0).await.unwrap_err();
    let heartbeat = app.heartbeat(stranger, &id, 1, 1).await.unwrap_err();
    let finish = app.finish(stranger, &id, 1, crate::app::succeeded()).await.unwrap_err();
    let list = users
        .list_tasks(app.by(stranger, ListTasksRequest::default()))
        .await
        .unwrap()
        .into_inner();

    for error in [get, cancel, watch, claim, heartbeat, finish] {
        assert_eq!(error.code(), Code::NotFound);
    }
    assert!(list.tasks.is_empty());
    assert_eq!(app.get(owner, &id).await.state(), State::Queued);
}

#[tokio::test]
async fn a_malformed_id_is_not_found_like_an_unknown_one() {
    let app = App::new().await;
    let user = Uuid::now_v7();
    let unknown = Uuid::now_v7().to_string();

    for id in ["", "../tasks", unknown.as_str()] {
        let error = app
            .users()
            .get_task(app.by(user, GetTaskRequest { id: id.to_owned() }))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::NotFound, "{id}");
    }
}

#[tokio::test]
async fn a_token_of_the_wrong_kind_does_not_count() {
    let app = App::new().await;
    let user = Uuid::now_v7();
    let id = app.create(user).await;

    let by_user = app
        .services()
        .create_task(app.by(user, new_task(Uuid::now_v7())))
        .await
        .unwrap_err();
    let by_service = app
        .users()
        .get_task(app.for_owner(user, GetTaskRequest { id }))
        .await
        .unwrap_err();

    assert_eq!(
        (by_user.code(), by_service.code()),
        (Code::Unauthenticated, Code::Unauthenticated)
    );
}

#[tokio::test]
async fn pages_give_every_task_once_newest_first() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let mut created = Vec::new();
    for _ in 0..7 {
        created.push(app.create(owner).await);
    }
    app.create(Uuid::now_v7()).await;

    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = app.by(
            owner,
            ListTasksRequest {
                page_size: 3,
                page_token,
            },
        );
        let page = app.users().list_tasks(request).await.unwrap().into_inner();
        listed.extend(page.tasks.into_iter().map(|task| task.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }

    created.reverse();
    assert_eq!(listed, created);
}

#[tokio::test]
async fn wrong_pages_are_refused() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    app.create(owner).await;
    app.create(owner).await;
    let request = app.by(
        owner,
        ListTasksRequest {
            page_size: 1,
            page_token: String::new(),
        },
    );
    let token = app
        .users()
        .list_tasks(request)
        .await
        .unwrap()
        .into_inner()
        .next_page_token;

    let negative = app.by(
        owner,
        ListTasksRequest {
            page_size: -1,
            page_token: String::new(),
        },
    );
    let foreign = app.by(
        Uuid::now_v7(),
        ListTasksRequest {
            page_size: 1,
            page_token: token,
        },
    );
    let garbage = app.by(
        owner,
        ListTasksRequest {
            page_size: 1,
            page_token: "garbage".to_owned(),
        },
    );

    for (request, field) in [
        (negative, "page_size"),
        (foreign, "page_token"),
        (garbage, "page_token"),
    ] {
        let error = app.users().list_tasks(request).await.unwrap_err();
        assert_eq!(
            (error.code(), fields(&error)),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
    }
}
