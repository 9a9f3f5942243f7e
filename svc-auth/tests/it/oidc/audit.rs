//! What is noted of log-ins at providers and of linking.

use bookmesh_proto::auth::v1::{
    ListAuditEventsRequest,
    audit_event::{Action, Outcome},
    audit_service_client::AuditServiceClient,
};
use serde_json::json;
use service::client::channel;
use sqlx::Row;

use super::{
    Setup,
    provider::{Signature, visit},
    unknown,
};
use crate::{
    app::{EMAIL, reason, with_token},
    second_factors::enrol_and_confirm,
};

impl Setup {
    /// Oldest first, with what was done to.
    async fn events(&self, access_token: &str) -> Vec<(Action, Outcome, String)> {
        let mut audit = AuditServiceClient::new(channel(&self.app.address).unwrap());
        let request = with_token(ListAuditEventsRequest::default(), access_token);
        let events = audit
            .list_audit_events(request)
            .await
            .unwrap()
            .into_inner()
            .audit_events;
        let told =
            |event: &bookmesh_proto::auth::v1::AuditEvent| (event.action(), event.outcome(), event.object_id.clone());
        events.iter().rev().map(told).collect()
    }
}

#[tokio::test]
async fn every_step_is_noted_with_the_identity_and_without_a_secret() {
    let setup = Setup::start().await;
    setup
        .company
        .sign_in(json!({"sub": "canary subject", "email": EMAIL, "email_verified": true}));

    let tokens = setup.log_in("company").await.unwrap();
    let token = &tokens.access_token;
    let company = setup.identities(token).await.remove(0).id;
    let club = setup.link(token, "club").await.unwrap().id;
    setup.link(token, "club").await.unwrap();
    setup.unlink(token, &club).await.unwrap();
    setup.club.sign_with(Signature::Broken);
    setup.link(token, "club").await.unwrap_err();
    setup.age_sessions().await;
    setup.begin_link(token, "club").await.unwrap_err();

    let done = |action, object: &str| (action, Outcome::Succeeded, object.to_owned());
    let refused = |action| (action, Outcome::Refused, String::new());
    assert_eq!(
        setup.events(token).await,
        [
            done(Action::UserRegistered, &company),
            done(Action::IdentityUsed, &company),
            done(Action::LogIn, ""),
            done(Action::IdentityLinked, &club),
            done(Action::IdentityUnlinked, &club),
            refused(Action::IdentityLinked),
            refused(Action::IdentityLinked),
        ]
    );
    let dump = "SELECT string_agg(audit_events::text, '') FROM audit_events";
    let dump: String = sqlx::query(dump)
        .fetch_one(&mut setup.app.admin().await)
        .await
        .unwrap()
        .get(0);
    assert!(!dump.contains("canary") && !dump.contains(EMAIL));
}

#[tokio::test]
async fn a_log_in_that_was_refused_is_noted_for_nobody() {
    let setup = Setup::start().await;
    setup.company.sign_with(Signature::None);

    setup.log_in("company").await.unwrap_err();

    let noted = "SELECT count(*) FROM audit_events WHERE action = 'LOG_IN' AND outcome = 'REFUSED' AND user_id IS NULL";
    let noted: i64 = sqlx::query(noted)
        .fetch_one(&mut setup.app.admin().await)
        .await
        .unwrap()
        .get(0);
    assert_eq!(noted, 1);
}

#[tokio::test]
async fn a_state_that_nobody_has_adds_no_line() {
    let setup = Setup::start().await;
    let attempt = setup.begin("company").await.unwrap();
    let back = visit(&attempt.authorization_url).await;
    let other = setup.begin("company").await.unwrap();

    let refused = setup.complete(&other, &back).await;

    assert_eq!(reason(refused), unknown());
    let noted: i64 = sqlx::query("SELECT count(*) FROM audit_events")
        .fetch_one(&mut setup.app.admin().await)
        .await
        .unwrap()
        .get(0);
    assert_eq!(noted, 0);
}

#[tokio::test]
async fn an_identity_that_was_used_is_noted_also_when_a_second_factor_is_asked_for() {
    let setup = Setup::start().await;
    let first = setup.log_in("company").await.unwrap();
    let identity = setup.identities(&first.access_token).await.remove(0).id;
    enrol_and_confirm(&setup.app, &first.access_token).await;

    let asked = setup.log_in("company").await;

    assert_eq!(reason(asked).1, "MFA_REQUIRED");
    let events = setup.events(&first.access_token).await;
    assert_eq!(
        events[events.len() - 2..],
        [
            (Action::IdentityUsed, Outcome::Succeeded, identity),
            (Action::LogInChallenged, Outcome::Succeeded, String::new()),
        ]
    );
}
