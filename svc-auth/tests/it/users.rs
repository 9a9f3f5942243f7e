//! Registering, and who am I.

use bookmesh_proto::auth::v1::CreateUserRequest;
use tonic::Code;
use uuid::Uuid;

use crate::app::{EMAIL, PASSWORD, TestApp, reason, violations};

#[tokio::test]
async fn a_registered_user_can_log_in_and_ask_who_they_are() {
    let app = TestApp::start().await;

    let user = app.register("Ada@Example.com", PASSWORD).await.unwrap();
    let tokens = app.log_in("ada@example.COM", PASSWORD).await.unwrap();
    let me = app.me(&tokens.access_token).await.unwrap();

    assert_eq!(me, user);
    assert_eq!(
        (me.email.as_str(), me.display_name.as_str()),
        ("Ada@Example.com", "Ada")
    );
    assert_eq!(Uuid::parse_str(&me.id).unwrap().get_version_num(), 7);
}

#[tokio::test]
async fn an_address_belongs_to_one_account_whatever_its_case() {
    let app = TestApp::start().await;
    app.register("örjan@example.com", PASSWORD).await.unwrap();

    let again = app.register("ÖRJAN@example.com", PASSWORD).await;

    assert_eq!(reason(again), (Code::AlreadyExists, "EMAIL_TAKEN".to_owned()));
}

#[tokio::test]
async fn of_two_who_register_an_address_at_once_one_gets_it() {
    let app = TestApp::start().await;

    let (first, second) = tokio::join!(app.register(EMAIL, PASSWORD), app.register(EMAIL, PASSWORD));

    assert_eq!(u8::from(first.is_ok()) + u8::from(second.is_ok()), 1);
}

#[tokio::test]
async fn bad_input_is_named_with_its_rule() {
    let app = TestApp::start().await;
    let request = CreateUserRequest {
        email: "ada\0@example.com".to_owned(),
        password: "too short".to_owned(),
        display_name: "x".repeat(201),
        invitation_token: String::new(),
    };

    let status = app.auth.clone().create_user(request).await.unwrap_err();

    assert_eq!(status.code(), Code::InvalidArgument);
    insta::assert_debug_snapshot!(violations(&status), @r#"
    [
        "display_name must be at most 200 characters long",
        "email must not contain spaces or control characters",
        "password must be 15 to 256 characters long",
    ]
    "#);
}

#[tokio::test]
async fn checklist_6_2_8_a_password_is_what_was_typed_to_the_last_byte() {
    let app = TestApp::start().await;
    let passwords = [
        ("a@example.com", "fifteen letters ", "fifteen letters"),
        ("b@example.com", "fifteen\0letters", "fifteen\0lettern"),
        (
            "c@example.com",
            "caf\u{e9} caf\u{e9} caf\u{e9} !",
            "cafe\u{301} cafe\u{301} cafe\u{301} !",
        ),
    ];
    for (email, password, similar) in passwords {
        app.register(email, password).await.unwrap();

        app.log_in(email, password).await.unwrap();
        let refused = app.log_in(email, similar).await;
        assert_eq!(
            reason(refused),
            (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
        );
    }
    let longest: String = (0..256_u32)
        .filter_map(|index| char::from_u32(0x1f300 + index * index % 251))
        .collect();
    app.register("d@example.com", &longest).await.unwrap();
}

#[tokio::test]
async fn nobody_is_anybody_without_a_token() {
    let app = TestApp::start().await;

    let answer = app
        .auth
        .clone()
        .get_current_user(bookmesh_proto::auth::v1::GetCurrentUserRequest {})
        .await;

    assert_eq!(reason(answer), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
}

#[tokio::test]
async fn a_user_who_is_gone_is_not_found_and_cannot_log_in() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    app.me(&tokens.access_token).await.unwrap();

    app.run_as_admin("DELETE FROM users").await;

    // For some seconds the hot copy still says that the session is live; the user is gone at once all the same.
    let (_, reason_of_me) = reason(app.me(&tokens.access_token).await);
    assert!(
        ["NOT_FOUND", "SESSION_ENDED"].contains(&&*reason_of_me),
        "{reason_of_me}"
    );
    let log_in = app.log_in(EMAIL, PASSWORD).await;
    assert_eq!(
        reason(log_in),
        (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
    );
}
