//! Who may make an account, and invitations.

use bookmesh_proto::auth::v1::{
    CreateInvitationRequest, CreateUserRequest, DeleteInvitationRequest, Invitation, ListInvitationsRequest, User,
    invitation_service_client::InvitationServiceClient,
};
use futures::future::join_all;
use service::client::channel;
use tonic::{Code, Status, transport::Channel};

use crate::{
    app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token},
    mails::waits,
};

const GUEST: &str = "grace@example.com";

fn invitations(app: &TestApp) -> InvitationServiceClient<Channel> {
    InvitationServiceClient::new(channel(&app.address).unwrap())
}

pub(crate) async fn invite(app: &TestApp, access_token: &str, email: &str) -> Result<Invitation, Status> {
    let request = CreateInvitationRequest {
        email: email.to_owned(),
    };
    let made = invitations(app)
        .create_invitation(with_token(request, access_token))
        .await?;
    Ok(made.into_inner())
}

pub(crate) async fn accept(app: &TestApp, email: &str, token: &str) -> Result<User, Status> {
    let request = CreateUserRequest {
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
        display_name: String::new(),
        invitation_token: token.to_owned(),
    };
    Ok(app.auth.clone().create_user(request).await?.into_inner())
}

/// An installation that takes invitations, its admin's access token, and one where anybody registers, on the same database.
async fn by_invitation() -> (TestApp, String) {
    let open = TestApp::start().await;
    let access_token = open.ada().await.access_token;
    open.run_as_admin("ALTER TABLE users ADD COLUMN IF NOT EXISTS role text NOT NULL DEFAULT 'USER'")
        .await;
    open.run_as_admin("UPDATE users SET role = 'ADMIN'").await;
    let invite_only = open.beside(&[("AUTH_REGISTRATION", "invite")]).await;
    (invite_only, access_token)
}

fn invalid() -> (Code, String) {
    (Code::InvalidArgument, "INVITATION_INVALID".to_owned())
}

#[tokio::test]
async fn an_invitation_makes_one_account_with_its_address_confirmed() {
    let (app, admin) = by_invitation().await;
    let invitation = invite(&app, &admin, GUEST).await.unwrap();
    let token = app.last_token_to(GUEST).await;

    let uses = join_all((0..10).map(|_| accept(&app, GUEST, &token))).await;

    let accepted: Vec<_> = uses.into_iter().filter_map(Result::ok).collect();
    assert_eq!(accepted.len(), 1);
    assert!(accepted[0].email_confirmed);
    assert_eq!(reason(accept(&app, GUEST, &token).await), invalid());
    let tokens = app.log_in(GUEST, PASSWORD).await.unwrap();
    assert!(app.me(&tokens.access_token).await.unwrap().email_confirmed);
    let event =
        "SELECT object_id::text FROM audit_events WHERE action = 'USER_REGISTERED' ORDER BY sequence DESC LIMIT 1";
    let noted: String = sqlx::query_scalar(event)
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap();
    assert_eq!(noted, invitation.id);
}

#[tokio::test]
async fn without_an_invitation_to_the_address_that_still_counts_there_is_no_account() {
    let (app, admin) = by_invitation().await;
    invite(&app, &admin, GUEST).await.unwrap();
    let token = app.last_token_to(GUEST).await;

    for (email, text) in [(GUEST, ""), (GUEST, "token"), ("other@example.com", &token)] {
        assert_eq!(reason(accept(&app, email, text).await), invalid(), "{email} {text}");
    }
    app.run_as_admin("UPDATE invitations SET expires_at = now()").await;
    assert_eq!(reason(accept(&app, GUEST, &token).await), invalid());
}

#[tokio::test]
async fn an_invitation_to_a_taken_address_is_not_used_up() {
    let (app, admin) = by_invitation().await;
    invite(&app, &admin, EMAIL).await.unwrap();
    let token = app.last_token_to(EMAIL).await;

    let taken = accept(&app, EMAIL, &token).await;

    assert_eq!(reason(taken), (Code::AlreadyExists, "EMAIL_TAKEN".to_owned()));
    let listed = with_token(ListInvitationsRequest::default(), &admin);
    let listed = invitations(&app).list_invitations(listed).await.unwrap().into_inner();
    assert_eq!(listed.invitations.len(), 1);
}

#[tokio::test]
async fn a_withdrawn_invitation_counts_no_more() {
    let (app, admin) = by_invitation().await;
    let invitation = invite(&app, &admin, GUEST).await.unwrap();
    let token = app.last_token_to(GUEST).await;
    let withdraw = |id: &str| {
        let request = with_token(DeleteInvitationRequest { id: id.to_owned() }, &admin);
        let mut client = invitations(&app);
        async move { client.delete_invitation(request).await }
    };

    withdraw(&invitation.id).await.unwrap();

    assert_eq!(reason(accept(&app, GUEST, &token).await), invalid());
    for gone in [invitation.id.as_str(), "nonsense"] {
        assert_eq!(reason(withdraw(gone).await), (Code::NotFound, "NOT_FOUND".to_owned()));
    }
}

#[tokio::test]
async fn an_invitation_ends_with_the_role_and_with_the_account_of_whoever_invited() {
    let (app, admin) = by_invitation().await;
    invite(&app, &admin, GUEST).await.unwrap();
    let token = app.last_token_to(GUEST).await;

    for lost in [
        "UPDATE users SET role = 'USER'",
        "UPDATE users SET role = 'ADMIN', disabled_at = now()",
    ] {
        app.run_as_admin(lost).await;
        assert_eq!(reason(accept(&app, GUEST, &token).await), invalid(), "{lost}");
    }

    app.run_as_admin("UPDATE users SET disabled_at = NULL").await;
    accept(&app, GUEST, &token).await.unwrap();
}

#[tokio::test]
async fn only_admins_invite_and_see_their_own() {
    let (app, admin) = by_invitation().await;
    invite(&app, &admin, GUEST).await.unwrap();
    let token = app.last_token_to(GUEST).await;
    accept(&app, GUEST, &token).await.unwrap();
    invite(&app, &admin, "third@example.com").await.unwrap();
    let guest = app.log_in(GUEST, PASSWORD).await.unwrap().access_token;

    let refused = invite(&app, &guest, "friend@example.com").await;

    assert_eq!(
        reason(refused),
        (Code::PermissionDenied, "INVITING_NOT_ALLOWED".to_owned())
    );
    let seen = async |access_token: &str| {
        let request = with_token(ListInvitationsRequest::default(), access_token);
        let listed = invitations(&app).list_invitations(request).await.unwrap().into_inner();
        listed
            .invitations
            .into_iter()
            .map(|invitation| invitation.email)
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(&guest).await, [""; 0]);
    assert_eq!(seen(&admin).await, ["third@example.com"]);
}

#[tokio::test]
async fn an_invitation_names_an_address_that_can_be_one_and_is_mailed_only_so_often() {
    let (app, admin) = by_invitation().await;

    let bad = invite(&app, &admin, "grace").await.unwrap_err();
    assert_eq!(
        violations(&bad),
        ["email must be an e-mail address like name@example.com"]
    );
    for _ in 0..5 {
        invite(&app, &admin, GUEST).await.unwrap();
    }
    let sixth = invite(&app, &admin, GUEST).await;
    assert_eq!(reason(sixth), (Code::ResourceExhausted, "TOO_MANY_MAILS".to_owned()));
}

#[tokio::test]
async fn where_registration_is_closed_nobody_makes_an_account() {
    let app = TestApp::start_with(&[("AUTH_REGISTRATION", "closed")]).await;

    let refused = app.register(EMAIL, PASSWORD).await;

    assert_eq!(
        reason(refused),
        (Code::PermissionDenied, "REGISTRATION_CLOSED".to_owned())
    );
}

#[tokio::test]
async fn what_has_expired_is_cleared_away_and_what_counts_stays() {
    let (app, admin) = by_invitation().await;
    invite(&app, &admin, GUEST).await.unwrap();
    let stays = invite(&app, &admin, "hedy@example.com").await.unwrap();

    app.run_as_admin(
        "UPDATE invitations SET expires_at = now() - interval '1 s' WHERE email = 'grace@example.com';
         INSERT INTO invitations SELECT gen_random_uuid(), inviter_id, sha256('accepted'), email, email_key, created_at, expires_at, now()
         FROM invitations WHERE email = 'hedy@example.com'",
    )
    .await;

    waits(&mut app.admin().await, "SELECT count(*) = 1 FROM invitations").await;
    let left: String = sqlx::query_scalar("SELECT id::text FROM invitations")
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap();
    assert_eq!(left, stays.id);
}
