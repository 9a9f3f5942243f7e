//! Accounts at providers that are linked to one here.

use bookmesh_proto::auth::v1::{
    ChangePasswordRequest, CompleteOidcLinkRequest, DeleteIdentityRequest, Identity, ListIdentitiesRequest,
    OidcAttempt, StartOidcLinkRequest,
};
use futures::future::join;
use serde_json::json;
use tonic::{Code, Status};

use super::{Setup, failed, provider::Back, provider::visit, unknown};
use crate::{
    app::{EMAIL, PASSWORD, reason, violations, with_token},
    authenticator::Authenticator,
    oidc::REDIRECT_URI,
    passkeys,
    second_factors::enrol_and_confirm,
};

const NEW_PASSWORD: &str = "a rather different horse";

impl Setup {
    pub(crate) async fn begin_link(&self, access_token: &str, provider_id: &str) -> Result<OidcAttempt, Status> {
        let request = StartOidcLinkRequest {
            provider_id: provider_id.to_owned(),
            redirect_uri: REDIRECT_URI.to_owned(),
        };
        let answer = self
            .client
            .clone()
            .start_oidc_link(with_token(request, access_token))
            .await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn complete_link(
        &self,
        access_token: &str,
        attempt: &OidcAttempt,
        back: &Back,
    ) -> Result<Identity, Status> {
        let request = CompleteOidcLinkRequest {
            state: back.state.clone(),
            code: back.code.clone(),
            binding: attempt.binding.clone(),
            iss: back.iss.clone(),
        };
        let answer = self
            .client
            .clone()
            .complete_oidc_link(with_token(request, access_token))
            .await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn link(&self, access_token: &str, provider_id: &str) -> Result<Identity, Status> {
        let attempt = self.begin_link(access_token, provider_id).await?;
        let back = visit(&attempt.authorization_url).await;
        self.complete_link(access_token, &attempt, &back).await
    }

    pub(crate) async fn identities(&self, access_token: &str) -> Vec<Identity> {
        let request = with_token(ListIdentitiesRequest {}, access_token);
        self.client
            .clone()
            .list_identities(request)
            .await
            .unwrap()
            .into_inner()
            .identities
    }

    pub(super) async fn unlink(&self, access_token: &str, id: &str) -> Result<(), Status> {
        let request = DeleteIdentityRequest { id: id.to_owned() };
        self.client
            .clone()
            .delete_identity(with_token(request, access_token))
            .await?;
        Ok(())
    }

    async fn change_password(&self, access_token: &str, current: &str, new: &str) -> Result<(), Status> {
        let request = ChangePasswordRequest {
            current_password: current.to_owned(),
            new_password: new.to_owned(),
        };
        self.app
            .auth
            .clone()
            .change_password(with_token(request, access_token))
            .await?;
        Ok(())
    }

    pub(super) async fn age_sessions(&self) {
        self.app
            .run_as_admin("UPDATE sessions SET created_at = created_at - interval '6 minutes'")
            .await;
    }
}

fn step_up_required() -> (Code, String) {
    (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned())
}

fn last_way_in() -> (Code, String) {
    (Code::FailedPrecondition, "LAST_WAY_IN".to_owned())
}

fn not_found() -> (Code, String) {
    (Code::NotFound, "NOT_FOUND".to_owned())
}

#[tokio::test]
async fn a_linked_account_opens_the_one_here_whatever_its_address() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    let me = setup.app.me(&ada.access_token).await.unwrap();
    setup
        .company
        .sign_in(json!({"sub": "7", "email": "someone@example.com", "email_verified": true}));

    let linked = setup.link(&ada.access_token, "company").await.unwrap();
    let tokens = setup.log_in("company").await.unwrap();

    assert_eq!(setup.app.me(&tokens.access_token).await.unwrap(), me);
    let listed = setup.identities(&ada.access_token).await;
    assert_eq!(listed.len(), 1);
    let identity = &listed[0];
    assert_eq!(
        (
            identity.id.as_str(),
            identity.provider_id.as_str(),
            identity.subject.as_str()
        ),
        (linked.id.as_str(), "company", "7")
    );
    assert_eq!(identity.issuer, setup.company.issuer);
    assert!(linked.last_used_time.is_none() && identity.last_used_time.is_some());
}

#[tokio::test]
async fn linking_takes_a_recent_log_in() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    setup.age_sessions().await;

    assert_eq!(
        reason(setup.begin_link(&ada.access_token, "company").await),
        step_up_required()
    );
    let unlinked = setup
        .unlink(&ada.access_token, "01890a5d-ac96-774b-bcce-b302099a8057")
        .await;
    assert_eq!(reason(unlinked), step_up_required());
}

#[tokio::test]
async fn a_link_is_completed_by_the_session_that_started_it_alone() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    let second = setup.app.log_in(EMAIL, PASSWORD).await.unwrap();
    setup.app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = setup.app.log_in("bob@example.com", PASSWORD).await.unwrap();
    let attempt = setup.begin_link(&ada.access_token, "company").await.unwrap();
    let back = visit(&attempt.authorization_url).await;

    for other in [&second, &bob] {
        let answer = setup.complete_link(&other.access_token, &attempt, &back).await;
        assert_eq!(reason(answer), unknown());
    }
    // Nor does it log anybody in, and a log-in links nothing.
    assert_eq!(reason(setup.complete(&attempt, &back).await), unknown());
    let log_in = setup.begin("company").await.unwrap();
    let log_in_back = visit(&log_in.authorization_url).await;
    let answer = setup.complete_link(&ada.access_token, &log_in, &log_in_back).await;
    assert_eq!(reason(answer), unknown());

    setup.complete_link(&ada.access_token, &attempt, &back).await.unwrap();
    assert!(setup.identities(&bob.access_token).await.is_empty());
}

#[tokio::test]
async fn an_ended_session_links_nothing() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    let attempt = setup.begin_link(&ada.access_token, "company").await.unwrap();
    let back = visit(&attempt.authorization_url).await;
    setup.app.log_out(&ada.access_token).await.unwrap();

    let answer = setup.complete_link(&ada.access_token, &attempt, &back).await;

    assert_eq!(reason(answer), (Code::Unauthenticated, "SESSION_ENDED".to_owned()));
}

#[tokio::test]
async fn what_is_linked_to_somebody_else_is_taken() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    setup.app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = setup.app.log_in("bob@example.com", PASSWORD).await.unwrap();
    setup.link(&ada.access_token, "company").await.unwrap();

    let taken = setup.link(&bob.access_token, "company").await;

    assert_eq!(reason(taken), (Code::AlreadyExists, "IDENTITY_TAKEN".to_owned()));
    assert!(setup.identities(&bob.access_token).await.is_empty());
}

#[tokio::test]
async fn a_second_account_of_a_provider_waits_until_the_first_is_unlinked() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    let first = setup.link(&ada.access_token, "company").await.unwrap();
    assert_eq!(setup.link(&ada.access_token, "company").await.unwrap().id, first.id);
    setup.company.sign_in(json!({"sub": "2"}));

    let refused = setup.link(&ada.access_token, "company").await;
    let expected = (Code::FailedPrecondition, "PROVIDER_ALREADY_LINKED".to_owned());
    assert_eq!(reason(refused), expected);

    setup.unlink(&ada.access_token, &first.id).await.unwrap();
    setup.link(&ada.access_token, "company").await.unwrap();
}

#[tokio::test]
async fn a_bad_answer_of_the_provider_links_nothing() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    setup.company.change_claims(|claims| claims["nonce"] = json!("another"));

    assert_eq!(reason(setup.link(&ada.access_token, "company").await), failed());
    assert!(setup.identities(&ada.access_token).await.is_empty());
}

#[tokio::test]
async fn what_is_not_yours_is_not_there() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    let linked = setup.link(&ada.access_token, "company").await.unwrap();
    setup.app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = setup.app.log_in("bob@example.com", PASSWORD).await.unwrap();

    for id in [linked.id.as_str(), "01890a5d-ac96-774b-bcce-b302099a8057", "no id", ""] {
        assert_eq!(reason(setup.unlink(&bob.access_token, id).await), not_found(), "{id}");
    }

    assert_eq!(setup.identities(&ada.access_token).await.len(), 1);
}

#[tokio::test]
async fn an_unlinked_account_opens_nothing_any_more() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    let me = setup.app.me(&ada.access_token).await.unwrap();
    let linked = setup.link(&ada.access_token, "company").await.unwrap();

    setup.unlink(&ada.access_token, &linked.id).await.unwrap();

    let tokens = setup.log_in("company").await.unwrap();
    assert_ne!(setup.app.me(&tokens.access_token).await.unwrap().id, me.id);
    assert_eq!(reason(setup.unlink(&ada.access_token, &linked.id).await), not_found());
}

#[tokio::test]
async fn the_last_way_in_stays() {
    let setup = Setup::start().await;
    let tokens = setup.log_in("company").await.unwrap();
    let token = &tokens.access_token;
    let company = setup.identities(token).await.remove(0);

    assert_eq!(reason(setup.unlink(token, &company.id).await), last_way_in());

    let club = setup.link(token, "club").await.unwrap();
    setup.unlink(token, &company.id).await.unwrap();
    assert_eq!(reason(setup.unlink(token, &club.id).await), last_way_in());
    // Without an address there is nothing to log in with a password with.
    setup.change_password(token, "", NEW_PASSWORD).await.unwrap();
    assert_eq!(reason(setup.unlink(token, &club.id).await), last_way_in());
}

#[tokio::test]
async fn a_passkey_is_a_way_in_and_may_be_the_last_one() {
    let setup = Setup::start().await;
    let tokens = setup.log_in("company").await.unwrap();
    let company = setup.identities(&tokens.access_token).await.remove(0);
    let mut device = Authenticator::new();
    let made = passkeys::add(&setup.app, &tokens.access_token, &mut device, "Phone").await;
    let passkey = made.unwrap().passkey.unwrap();
    let answer = passkeys::shown(&setup.app, &mut device).await;
    let token = passkeys::log_in(&setup.app, answer).await.unwrap().access_token;

    setup.unlink(&token, &company.id).await.unwrap();

    assert_eq!(
        reason(passkeys::remove(&setup.app, &token, &passkey.id).await),
        last_way_in()
    );
}

#[tokio::test]
async fn of_two_last_ways_in_that_are_unlinked_at_once_one_stays() {
    let setup = Setup::start().await;
    for sub in 0..5 {
        setup.company.sign_in(json!({"sub": format!("company {sub}")}));
        setup.club.sign_in(json!({"sub": format!("club {sub}")}));
        let tokens = setup.log_in("company").await.unwrap();
        let token = &tokens.access_token;
        let company = setup.identities(token).await.remove(0);
        let club = setup.link(token, "club").await.unwrap();

        let (one, other) = join(setup.unlink(token, &company.id), setup.unlink(token, &club.id)).await;

        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert_eq!(setup.identities(token).await.len(), 1);
    }
}

#[tokio::test]
async fn a_first_password_takes_a_recent_log_in_and_then_opens_the_account() {
    let setup = Setup::start().await;
    setup
        .company
        .sign_in(json!({"sub": "1", "email": EMAIL, "email_verified": true}));
    let tokens = setup.log_in("company").await.unwrap();
    let token = &tokens.access_token;

    let breached = setup.change_password(token, "", "passwordpassword").await;
    assert_eq!(reason(breached).1, "PASSWORD_BREACHED");
    let short = setup.change_password(token, "", "short").await.unwrap_err();
    assert_eq!(violations(&short), ["new_password must be 15 to 256 characters long"]);
    let wrong = setup.change_password(token, "no password", NEW_PASSWORD).await;
    assert_eq!(reason(wrong).1, "WRONG_PASSWORD");

    setup.age_sessions().await;
    assert_eq!(
        reason(setup.change_password(token, "", NEW_PASSWORD).await),
        step_up_required()
    );

    let tokens = setup.log_in("company").await.unwrap();
    setup
        .change_password(&tokens.access_token, "", NEW_PASSWORD)
        .await
        .unwrap();
    setup.app.log_in(EMAIL, NEW_PASSWORD).await.unwrap();
    // The other session is over, and the password is no longer the first.
    assert_eq!(reason(setup.app.me(token).await).1, "SESSION_ENDED");
    let again = setup
        .change_password(&tokens.access_token, "", "yet another horse of mine")
        .await
        .unwrap_err();
    assert_eq!(violations(&again), ["current_password must not be empty"]);
    // Now that there is a password, the provider is not the last way in.
    let company = setup.identities(&tokens.access_token).await.remove(0);
    setup.unlink(&tokens.access_token, &company.id).await.unwrap();
}

#[tokio::test]
async fn the_owner_is_told_of_each_way_in_that_is_added() {
    let setup = Setup::start().await;
    let app = &setup.app;
    let ada = app.ada().await.access_token;

    setup.link(&ada, "company").await.unwrap();
    setup.link(&ada, "company").await.unwrap();
    passkeys::add(app, &ada, &mut Authenticator::new(), "Phone")
        .await
        .unwrap();
    enrol_and_confirm(app, &ada).await;

    let mails = app.mails_to(EMAIL).await;
    let told: Vec<_> = mails
        .iter()
        .filter(|mail| mail.subject == "A way to log in was added to your account")
        .collect();
    assert_eq!(told.len(), 3, "linking again adds nothing");
    for (mail, what) in told
        .iter()
        .zip(["an account at another provider", "a passkey", "an app that makes codes"])
    {
        assert!(mail.text.contains(&format!("{what} was added")), "{}", mail.text);
        assert!(mail.text.contains("/forgot-password"), "{}", mail.text);
    }
}
