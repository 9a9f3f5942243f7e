//! A provider of the tests, on a port of its own: discovery, keys, a log-in page that lets everybody in, and a token endpoint that
//! signs real tokens.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::Response,
    routing::{get, post},
};
use base64::{Engine, prelude::*};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::key::Key;

pub(crate) const CLIENT_ID: &str = "bookmesh";
/// With characters that have to be encoded twice on their way.
pub(crate) const CLIENT_SECRET: &str = "s3cret/+ of the client";
pub(crate) const REDIRECT_URI: &str = "http://localhost:8080/back";

pub(crate) struct TestProvider {
    pub issuer: String,
    shared: Arc<Shared>,
    stop: Mutex<Option<DropGuard>>,
}

/// What the browser is sent back with.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub code: String,
    pub state: String,
    pub iss: String,
}

/// What is wrong with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    Error,
    Html,
    Huge,
    Redirect,
    Slow,
    /// JSON that is no answer to this.
    Nonsense,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Signature {
    Right,
    None,
    /// HS256 with the public key, as it is published.
    PublicKeyAsSecret,
    ClientSecret,
    Broken,
}

type Change = Box<dyn Fn(&mut Value) + Send>;

struct Shared {
    issuer: String,
    keys: Mutex<Vec<Key>>,
    /// Signs in place of them.
    unpublished: Mutex<Option<Key>>,
    /// Who is in front of the browser.
    person: Mutex<Value>,
    codes: Mutex<HashMap<String, Grant>>,
    faults: Mutex<HashMap<&'static str, Fault>>,
    metadata: Mutex<Option<Change>>,
    claims: Mutex<Option<Change>>,
    signature: Mutex<Signature>,
    /// Of discovery and of keys.
    calls: [AtomicUsize; 2],
}

struct Grant {
    challenge: String,
    nonce: String,
    person: Value,
}

impl TestProvider {
    pub(crate) async fn start(key: Key) -> TestProvider {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realm", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            keys: Mutex::new(vec![key]),
            unpublished: Mutex::default(),
            person: Mutex::new(json!({"sub": "1"})),
            codes: Mutex::default(),
            faults: Mutex::default(),
            metadata: Mutex::default(),
            claims: Mutex::default(),
            signature: Mutex::new(Signature::Right),
            calls: Default::default(),
        });
        let router = Router::new()
            .route("/realm/.well-known/openid-configuration", get(discovery))
            .route("/realm/keys", get(keys))
            .route("/realm/authorize", get(authorize))
            .route("/realm/token", post(token))
            .with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            stopped
                .run_until_cancelled(axum::serve(listener, router).into_future())
                .await
        });
        TestProvider {
            issuer,
            shared,
            stop: Mutex::new(Some(stop.drop_guard())),
        }
    }

    /// Logs somebody in at the provider, in whatever browser comes next.
    pub(crate) fn sign_in(&self, person: Value) {
        *self.shared.person.lock().unwrap() = person;
    }

    /// Puts a new key in the place of the old ones.
    pub(crate) fn rotate(&self, key: Key) {
        *self.shared.keys.lock().unwrap() = vec![key];
    }

    /// From now on tokens are signed with a key that is not among those that are published.
    pub(crate) fn sign_with_unpublished_key(&self) {
        *self.shared.unpublished.lock().unwrap() = Some(Key::es256());
    }

    /// Endpoints are `discovery`, `keys` and `token`.
    pub(crate) fn break_with(&self, endpoint: &'static str, fault: Fault) {
        self.shared.faults.lock().unwrap().insert(endpoint, fault);
    }

    pub(crate) fn mend(&self, endpoint: &str) {
        self.shared.faults.lock().unwrap().remove(endpoint);
    }

    pub(crate) fn change_metadata(&self, change: impl Fn(&mut Value) + Send + 'static) {
        *self.shared.metadata.lock().unwrap() = Some(Box::new(change));
    }

    pub(crate) fn change_claims(&self, change: impl Fn(&mut Value) + Send + 'static) {
        *self.shared.claims.lock().unwrap() = Some(Box::new(change));
    }

    pub(crate) fn sign_with(&self, signature: Signature) {
        *self.shared.signature.lock().unwrap() = signature;
    }

    /// How often discovery and keys were asked for.
    pub(crate) fn calls(&self) -> [usize; 2] {
        [0, 1].map(|index| self.shared.calls[index].load(Ordering::Relaxed))
    }

    /// Nobody answers at its port any more.
    pub(crate) fn stop(&self) {
        self.stop.lock().unwrap().take();
    }
}

/// A browser that is sent to the log-in page, and where it is sent back with.
pub(crate) async fn visit(authorization_url: &str) -> Back {
    let policy = reqwest::redirect::Policy::none();
    let browser = reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap();
    let answer = browser.get(authorization_url).send().await.unwrap();
    let location = answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
    assert!(location.starts_with(REDIRECT_URI), "{location}");
    let query = pairs(Url::parse(&location).unwrap().query().unwrap());
    Back {
        code: query["code"].clone(),
        state: query["state"].clone(),
        iss: query["iss"].clone(),
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    shared.calls[0].fetch_add(1, Ordering::Relaxed);
    let issuer = &shared.issuer;
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
        "authorization_response_iss_parameter_supported": true,
    });
    if let Some(change) = &*shared.metadata.lock().unwrap() {
        change(&mut metadata);
    }
    answer(&shared, "discovery", &metadata).await
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    shared.calls[1].fetch_add(1, Ordering::Relaxed);
    let keys: Vec<Value> = shared.keys.lock().unwrap().iter().map(Key::public).collect();
    answer(&shared, "keys", &json!({ "keys": keys })).await
}

async fn authorize(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let query = pairs(request.uri().query().unwrap());
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["client_id"], CLIENT_ID);
    assert_eq!(query["redirect_uri"], REDIRECT_URI);
    assert_eq!(query["code_challenge_method"], "S256");
    assert!(query["scope"].split(' ').any(|scope| scope == "openid"));
    let code = Uuid::new_v4().to_string();
    let grant = Grant {
        challenge: query["code_challenge"].clone(),
        nonce: query["nonce"].clone(),
        person: shared.person.lock().unwrap().clone(),
    };
    shared.codes.lock().unwrap().insert(code.clone(), grant);
    let mut back = Url::parse(&query["redirect_uri"]).unwrap();
    back.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", &query["state"])
        .append_pair("iss", &shared.issuer);
    redirect(back.as_str())
}

async fn token(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let expected = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{}", encoded(CLIENT_SECRET)));
    let authorization = request.headers()[header::AUTHORIZATION].to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 64 * 1024).await.unwrap();
    let form = pairs(std::str::from_utf8(&body).unwrap());
    if authorization != format!("Basic {expected}") {
        return json_answer(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
    }
    let grant = shared.codes.lock().unwrap().remove(&form["code"]);
    let proves = |grant: &Grant| challenge_of(&form["code_verifier"]) == grant.challenge;
    let Some(grant) = grant.filter(|grant| proves(grant) && form["redirect_uri"] == REDIRECT_URI) else {
        return json_answer(StatusCode::BAD_REQUEST, &json!({"error": "invalid_grant"}));
    };
    let tokens = json!({
        "access_token": "the access token of the provider",
        "token_type": "Bearer",
        "expires_in": 60,
        "id_token": id_token(&shared, &grant),
    });
    answer(&shared, "token", &tokens).await
}

fn id_token(shared: &Shared, grant: &Grant) -> String {
    let now = service::clock::now().unix_timestamp();
    let mut claims = json!({
        "iss": shared.issuer,
        "aud": CLIENT_ID,
        "azp": CLIENT_ID,
        "iat": now,
        "exp": now + 300,
        "nonce": grant.nonce,
    });
    let person = grant.person.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(person);
    if let Some(change) = &*shared.claims.lock().unwrap() {
        change(&mut claims);
    }
    let (keys, unpublished) = (shared.keys.lock().unwrap(), shared.unpublished.lock().unwrap());
    let (key, signature) = (
        unpublished.as_ref().unwrap_or(&keys[0]),
        *shared.signature.lock().unwrap(),
    );
    let algorithm = match signature {
        Signature::Right | Signature::Broken => key.algorithm(),
        Signature::None => "none",
        Signature::PublicKeyAsSecret | Signature::ClientSecret => "HS256",
    };
    let header = json!({"alg": algorithm, "kid": key.id, "typ": "JWT"});
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let hs256 = |secret: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
    };
    let bytes = match signature {
        Signature::Right => key.sign(signed.as_bytes()),
        Signature::None => Vec::new(),
        Signature::PublicKeyAsSecret => hs256(&key.public_bytes()),
        Signature::ClientSecret => hs256(CLIENT_SECRET.as_bytes()),
        Signature::Broken => key.sign(b"something else"),
    };
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

async fn answer(shared: &Shared, endpoint: &'static str, value: &Value) -> Response {
    let fault = shared.faults.lock().unwrap().get(endpoint).copied();
    match fault {
        None => json_answer(StatusCode::OK, value),
        Some(Fault::Error) => json_answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": "server_error"})),
        Some(Fault::Html) => respond(StatusCode::OK, "text/html", "<h1>Log in</h1>".to_owned()),
        Some(Fault::Huge) => {
            let mut huge = value.clone();
            huge["padding"] = json!("x".repeat(10_000_000));
            json_answer(StatusCode::OK, &huge)
        }
        Some(Fault::Redirect) => redirect(&format!("{}/elsewhere", shared.issuer)),
        Some(Fault::Slow) => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            json_answer(StatusCode::OK, value)
        }
        Some(Fault::Nonsense) => json_answer(StatusCode::OK, &json!({"id_token": 7, "keys": "none"})),
    }
}

fn json_answer(status: StatusCode, value: &Value) -> Response {
    respond(status, "application/json", value.to_string())
}

fn respond(status: StatusCode, kind: &str, body: String) -> Response {
    let response = one_answer(status).header(header::CONTENT_TYPE, kind);
    response.body(Body::from(body)).unwrap()
}

/// Its connection is closed after it, so that none is left when the provider stops.
fn one_answer(status: StatusCode) -> axum::http::response::Builder {
    Response::builder().status(status).header(header::CONNECTION, "close")
}

fn redirect(location: &str) -> Response {
    let response = one_answer(StatusCode::FOUND).header(header::LOCATION, location);
    response.body(Body::empty()).unwrap()
}

fn pairs(query: &str) -> HashMap<String, String> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn challenge_of(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}
