//! API tokens at a process that asks svc-auth for them, while svc-auth is well and while it is away.

use std::time::Duration;

use bookmesh_proto::auth::v1::{VerifyApiTokenResponse, verify_api_token_response::State};
use service::{
    clock,
    identity::{ApiToken, Caller, Credential, Refusal, Verifier},
    testing::TestIssuer,
    time::to_proto,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::refresh::{FakeAuth, start, verifier};

const USER: Uuid = Uuid::from_u128(7);
const TOKEN_ID: Uuid = Uuid::from_u128(8);

struct Asking {
    issuer: TestIssuer,
    auth: FakeAuth,
    verifier: Verifier,
    shutdown: CancellationToken,
}

impl Asking {
    async fn new() -> Asking {
        let (issuer, auth, shutdown) = (TestIssuer::new(), FakeAuth::default(), CancellationToken::new());
        auth.publish(&issuer);
        let address = auth.start(&issuer, shutdown.clone()).await;
        Asking {
            verifier: verifier(&address, &issuer),
            issuer,
            auth,
            shutdown,
        }
    }

    /// Makes svc-auth know a token that ends so much later.
    fn know(&self, token: &str, state: State, life: time::Duration) {
        let answer = VerifyApiTokenResponse {
            state: state.into(),
            api_token_id: TOKEN_ID.to_string(),
            user_id: USER.to_string(),
            scopes: vec!["bookmarks:read".to_owned()],
            expire_time: Some(to_proto(clock::now() + life)),
        };
        self.auth.answer_of_api_token(token, answer);
    }
}

fn token(id: &str) -> String {
    let secret = "mUe0KfRz3sVnYc8HpGd1tJq6WoBi5x0m";
    ApiToken { id, secret }.write("test")
}

#[tokio::test]
async fn all_who_bring_a_token_ask_once_and_get_its_user_and_scopes() {
    let asking = Asking::new().await;
    let token = token("4q7XbT0aLw9Z");
    asking.know(&token, State::Valid, time::Duration::DAY);

    let verdicts = futures::future::join_all((0..50).map(|_| asking.verifier.verify(&token))).await;

    for verified in verdicts.into_iter().map(Result::unwrap) {
        let caller = Caller::User {
            user_id: USER,
            session_id: TOKEN_ID,
        };
        assert_eq!((verified.caller, verified.credential), (caller, Credential::ApiToken));
        assert_eq!(verified.scopes.unwrap().as_ref(), ["bookmarks:read"]);
    }
    assert_eq!(asking.auth.api_token_calls(), 1);
    asking.shutdown.cancel();
}

#[tokio::test]
async fn guesses_are_refused_without_asking_and_a_token_that_is_unknown_is_asked_for_once() {
    let asking = Asking::new().await;
    let unknown = token("4q7XbT0aLw9Z");
    let slip = format!("{}_", &unknown[..unknown.len() - 1]);

    for guess in ["bmk_", "bmk_test_", &slip] {
        assert_eq!(asking.verifier.verify(guess).await, Err(Refusal::Invalid), "{guess}");
    }
    assert_eq!(asking.auth.api_token_calls(), 0);
    for _ in 0..3 {
        assert_eq!(asking.verifier.verify(&unknown).await, Err(Refusal::Invalid));
    }
    assert_eq!(asking.auth.api_token_calls(), 1);
    asking.shutdown.cancel();
}

#[tokio::test]
async fn what_takes_no_api_tokens_asks_nobody() {
    let asking = Asking::new().await;
    let token = token("4q7XbT0aLw9Z");
    let access_token = asking.issuer.access_token(USER);

    let refused = asking.verifier.verify_without_api_tokens(&token).await;
    let access = asking.verifier.verify_without_api_tokens(&access_token).await.unwrap();

    assert_eq!(refused, Err(Refusal::ApiTokenNotAllowed));
    assert_eq!(access.credential, Credential::AccessToken);
    assert_eq!(asking.auth.api_token_calls(), 0);
    asking.shutdown.cancel();
}

#[tokio::test]
async fn a_revoked_token_counts_no_more_within_five_seconds() {
    let asking = Asking::new().await;
    start(&asking.verifier, &asking.issuer, asking.shutdown.clone()).await;
    let token = token("4q7XbT0aLw9Z");
    asking.know(&token, State::Valid, time::Duration::DAY);
    asking.verifier.verify(&token).await.unwrap();

    asking.auth.end(TOKEN_ID);

    let refused = async {
        while asking.verifier.verify(&token).await != Err(Refusal::ApiTokenEnded) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), refused).await.unwrap();
    asking.shutdown.cancel();
}

#[tokio::test]
async fn a_token_that_has_ended_or_ends_while_it_is_kept_does_not_count() {
    let asking = Asking::new().await;
    let (ended, ending) = (token("ended0000000"), token("ending000000"));
    asking.know(&ended, State::Ended, time::Duration::DAY);
    asking.know(&ending, State::Valid, -time::Duration::SECOND);

    for token in [ended, ending] {
        assert_eq!(asking.verifier.verify(&token).await, Err(Refusal::ApiTokenEnded));
    }
    asking.shutdown.cancel();
}

#[tokio::test]
async fn while_svc_auth_is_away_known_tokens_count_on_and_others_cannot_be_checked() {
    let asking = Asking::new().await;
    let known = token("known0000000");
    asking.know(&known, State::Valid, time::Duration::DAY);
    asking.verifier.verify(&known).await.unwrap();

    asking.shutdown.cancel();
    let refused = async {
        // It answers until its last connection is closed; what it has answered is kept, so each one is new.
        for number in 0.. {
            let other = token(&format!("other{number:07}"));
            if asking.verifier.verify(&other).await == Err(Refusal::KeysUnavailable) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };

    tokio::time::timeout(Duration::from_secs(60), refused).await.unwrap();
    asking.verifier.verify(&known).await.unwrap();
    assert_eq!(Refusal::KeysUnavailable.status().code(), tonic::Code::Unavailable);
}
