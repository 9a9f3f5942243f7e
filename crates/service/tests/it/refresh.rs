//! What a process learns from svc-auth, while svc-auth is well, is away, and changes its keys.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bookmesh_proto::auth::v1::{
    ChangePasswordRequest, CreateSessionRequest, CreateUserRequest, DeleteCurrentSessionRequest, GetCurrentUserRequest,
    GetJwksRequest, Jwks, ListEndedSessionsRequest, ListEndedSessionsResponse, RefreshSessionRequest, SessionTokens,
    User, VerifyApiTokenRequest, VerifyApiTokenResponse,
    auth_internal_service_server::{AuthInternalService, AuthInternalServiceServer},
    auth_service_server::{AuthService, AuthServiceServer},
    verify_api_token_response::State as TokenState,
};
use service::{
    Routes, Service,
    identity::{Refusal, Verifier},
    testing::TestIssuer,
};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Answers keys and ended sessions as the test sets them.
#[derive(Clone, Default)]
pub(crate) struct FakeAuth(Arc<State>);

#[derive(Default)]
struct State {
    jwks: Mutex<Jwks>,
    jwks_calls: AtomicUsize,
    hangs: AtomicBool,
    ended: Mutex<Vec<Uuid>>,
    api_tokens: Mutex<HashMap<String, VerifyApiTokenResponse>>,
    api_token_calls: AtomicUsize,
}

impl FakeAuth {
    pub(crate) fn public(&self) -> AuthServiceServer<Self> {
        AuthServiceServer::new(self.clone())
    }

    /// A whole svc-auth on a free port; what it answers with is signed and verified like the real one's.
    pub(crate) async fn start(&self, issuer: &TestIssuer, shutdown: CancellationToken) -> String {
        let service = Service::start("svc-auth", &issuer.service_config(), shutdown)
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Routes::new(self.public()).add_service(AuthInternalServiceServer::new(self.clone()));
        tokio::spawn(service.serve(listener, issuer.verifier("svc-auth"), routes));
        format!("http://{address}")
    }

    pub(crate) fn publish(&self, issuer: &TestIssuer) {
        *self.0.jwks.lock().unwrap() = issuer.jwks();
    }

    pub(crate) fn end(&self, session: Uuid) {
        self.0.ended.lock().unwrap().push(session);
    }

    /// What it answers of this token; of any other, that it is unknown.
    pub(crate) fn answer_of_api_token(&self, token: &str, answer: VerifyApiTokenResponse) {
        self.0.api_tokens.lock().unwrap().insert(token.to_owned(), answer);
    }

    pub(crate) fn api_token_calls(&self) -> usize {
        self.0.api_token_calls.load(Ordering::SeqCst)
    }

    /// From now on it never answers which keys there are.
    fn hang(&self) {
        self.0.hangs.store(true, Ordering::SeqCst);
    }

    fn jwks_calls(&self) -> usize {
        self.0.jwks_calls.load(Ordering::SeqCst)
    }
}

pub(crate) fn verifier(address: &str, issuer: &TestIssuer) -> Verifier {
    Verifier::remote("svc-task", address, issuer.service_keys(), issuer.signer("svc-task")).unwrap()
}

/// Lets the verifier work in the background, as `Service::serve` does.
pub(crate) async fn start(verifier: &Verifier, issuer: &TestIssuer, shutdown: CancellationToken) {
    let service = Service::start("svc-task", &issuer.service_config(), shutdown)
        .await
        .unwrap();
    verifier.start(&service);
    tokio::spawn(service.run(|drain| async move {
        drain.cancelled().await;
        Ok(())
    }));
}

#[tokio::test]
async fn many_tokens_of_a_new_key_ask_for_keys_once() {
    let (issuer, auth, shutdown) = (TestIssuer::new(), FakeAuth::default(), CancellationToken::new());
    auth.publish(&issuer);
    let address = auth.start(&issuer, shutdown.clone()).await;
    let verifier = verifier(&address, &issuer);
    let tokens: Vec<String> = (0..50).map(|_| issuer.access_token(Uuid::now_v7())).collect();

    let verdicts = futures::future::join_all(tokens.iter().map(|token| verifier.verify(token))).await;

    assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
    assert_eq!(auth.jwks_calls(), 1);
    shutdown.cancel();
}

#[tokio::test]
async fn tokens_of_unknown_keys_do_not_make_a_storm() {
    let (issuer, auth, shutdown) = (TestIssuer::new(), FakeAuth::default(), CancellationToken::new());
    auth.publish(&issuer);
    let address = auth.start(&issuer, shutdown.clone()).await;
    let verifier = verifier(&address, &issuer);
    verifier.verify(&issuer.access_token(Uuid::now_v7())).await.unwrap();

    for number in 0..20 {
        let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"unknown-{number}"}}"#);
        let verdict = verifier.verify(&issuer.sign(&header, "{}")).await;
        assert_eq!(verdict, Err(Refusal::Invalid));
    }

    assert_eq!(auth.jwks_calls(), 1);
    shutdown.cancel();
}

#[tokio::test]
async fn without_any_keys_tokens_cannot_be_checked_and_later_they_can() {
    let (issuer, auth, shutdown) = (TestIssuer::new(), FakeAuth::default(), CancellationToken::new());
    auth.publish(&issuer);
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", reserved.local_addr().unwrap());
    drop(reserved);
    let token = issuer.access_token(Uuid::now_v7());

    let refusal = verifier(&nobody, &issuer).verify(&token).await.unwrap_err();

    assert_eq!(refusal, Refusal::KeysUnavailable);
    assert_eq!(refusal.status().code(), tonic::Code::Unavailable);
    let address = auth.start(&issuer, shutdown.clone()).await;
    verifier(&address, &issuer).verify(&token).await.unwrap();
    shutdown.cancel();
}

#[tokio::test]
async fn known_keys_count_on_while_svc_auth_is_away() {
    let (issuer, auth, auth_shutdown) = (TestIssuer::new(), FakeAuth::default(), CancellationToken::new());
    auth.publish(&issuer);
    let address = auth.start(&issuer, auth_shutdown.clone()).await;
    let verifier = verifier(&address, &issuer);
    verifier.verify(&issuer.access_token(Uuid::now_v7())).await.unwrap();

    auth_shutdown.cancel();
    sleep(Duration::from_millis(300)).await;

    verifier.verify(&issuer.access_token(Uuid::now_v7())).await.unwrap();
}

/// Tokens of keys that nobody has.
fn of_unknown_keys(issuer: &TestIssuer, count: usize) -> Vec<String> {
    let header = |number| format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"unknown-{number}"}}"#);
    (0..count).map(|number| issuer.sign(&header(number), "{}")).collect()
}

#[tokio::test]
async fn a_thousand_tokens_of_unknown_keys_at_once_ask_for_keys_once() {
    let (issuer, auth, shutdown) = (TestIssuer::new(), FakeAuth::default(), CancellationToken::new());
    auth.publish(&issuer);
    let address = auth.start(&issuer, shutdown.clone()).await;
    let verifier = verifier(&address, &issuer);

    let tokens = of_unknown_keys(&issuer, 1_000);
    let verdicts = futures::future::join_all(tokens.iter().map(|token| verifier.verify(token))).await;

    assert!(verdicts.iter().all(|verdict| *verdict == Err(Refusal::Invalid)));
    assert_eq!(auth.jwks_calls(), 1);
    verifier.verify(&issuer.access_token(Uuid::now_v7())).await.unwrap();
    shutdown.cancel();
}

#[tokio::test]
async fn while_keys_cannot_be_had_unknown_ones_hold_nobody_up_and_known_ones_count_on() {
    let (issuer, auth, shutdown) = (TestIssuer::new(), FakeAuth::default(), CancellationToken::new());
    auth.publish(&issuer);
    let address = auth.start(&issuer, shutdown.clone()).await;
    let verifier = verifier(&address, &issuer);
    verifier.verify(&issuer.access_token(Uuid::now_v7())).await.unwrap();
    auth.hang();

    let unknown = of_unknown_keys(&issuer, 1_000);
    let known: Vec<String> = (0..200).map(|_| issuer.access_token(Uuid::now_v7())).collect();
    let all = unknown.iter().chain(&known).map(|token| verifier.verify(token));
    let verdicts = tokio::time::timeout(Duration::from_secs(10), futures::future::join_all(all))
        .await
        .unwrap();

    let (unknown, known) = verdicts.split_at(1_000);
    assert!(unknown.iter().all(|verdict| *verdict == Err(Refusal::Invalid)));
    assert!(known.iter().all(Result::is_ok));
    assert!(auth.jwks_calls() <= 2, "{}", auth.jwks_calls());
    shutdown.cancel();
}

#[tokio::test]
async fn checklist_7_4_1_a_log_out_counts_within_five_seconds() {
    let (issuer, auth, shutdown) = (TestIssuer::new(), FakeAuth::default(), CancellationToken::new());
    auth.publish(&issuer);
    let address = auth.start(&issuer, shutdown.clone()).await;
    let verifier = verifier(&address, &issuer);
    start(&verifier, &issuer, shutdown.clone()).await;
    let session = Uuid::now_v7();
    let token = issuer.access_token_of(Uuid::now_v7(), session);
    verifier.verify(&token).await.unwrap();

    auth.end(session);

    let refused = async {
        while verifier.verify(&token).await != Err(Refusal::SessionEnded) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), refused).await.unwrap();
    shutdown.cancel();
}

#[tonic::async_trait]
impl AuthService for FakeAuth {
    async fn get_jwks(&self, _: Request<GetJwksRequest>) -> Result<Response<Jwks>, Status> {
        self.0.jwks_calls.fetch_add(1, Ordering::SeqCst);
        if self.0.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let jwks = self.0.jwks.lock().unwrap().clone();
        Ok(Response::new(jwks))
    }

    async fn create_user(&self, _: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        Err(Status::unimplemented("not needed by the tests"))
    }

    async fn get_current_user(&self, _: Request<GetCurrentUserRequest>) -> Result<Response<User>, Status> {
        Err(Status::unimplemented("not needed by the tests"))
    }

    async fn create_session(&self, _: Request<CreateSessionRequest>) -> Result<Response<SessionTokens>, Status> {
        Err(Status::unimplemented("not needed by the tests"))
    }

    async fn refresh_session(&self, _: Request<RefreshSessionRequest>) -> Result<Response<SessionTokens>, Status> {
        Err(Status::unimplemented("not needed by the tests"))
    }

    async fn delete_current_session(&self, _: Request<DeleteCurrentSessionRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("not needed by the tests"))
    }

    async fn change_password(&self, _: Request<ChangePasswordRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("not needed by the tests"))
    }
}

#[tonic::async_trait]
impl AuthInternalService for FakeAuth {
    async fn list_ended_sessions(
        &self,
        request: Request<ListEndedSessionsRequest>,
    ) -> Result<Response<ListEndedSessionsResponse>, Status> {
        assert!(request.get_ref().since.is_some());
        let session_ids = self.0.ended.lock().unwrap().iter().map(Uuid::to_string).collect();
        Ok(Response::new(ListEndedSessionsResponse {
            session_ids,
            until: Some(service::time::to_proto(service::clock::now())),
        }))
    }

    async fn verify_api_token(
        &self,
        request: Request<VerifyApiTokenRequest>,
    ) -> Result<Response<VerifyApiTokenResponse>, Status> {
        self.0.api_token_calls.fetch_add(1, Ordering::SeqCst);
        let known = self.0.api_tokens.lock().unwrap().get(&request.get_ref().token).cloned();
        let unknown = VerifyApiTokenResponse {
            state: TokenState::Unknown.into(),
            ..VerifyApiTokenResponse::default()
        };
        Ok(Response::new(known.unwrap_or(unknown)))
    }
}
