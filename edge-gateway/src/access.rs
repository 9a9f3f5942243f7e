//! Who may pass: bearer tokens (RFC 6750) by the policy of the route.

use std::net::IpAddr;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use service::identity::{Caller, Credential, Refusal, Verified, Verifier};
use tonic::Code;
use uuid::Uuid;

use crate::exchange;
use crate::limit::Subject;
use crate::policy::{Access, Policy};
use crate::problem::Problem;

/// The longest token that the verifier looks at, with some room; services take 16 KiB of all headers.
const MAX_AUTHORIZATION_BYTES: usize = 9 * 1024;

/// Who stands at the door.
pub(crate) struct Visitor<'h> {
    /// Whom the call is counted against, also when the token does not allow it; nobody without a good token.
    subject: Option<Subject>,
    pub(crate) admission: Result<Admitted<'h>, Problem>,
}

/// Who was let in.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Admitted<'h> {
    /// The token to send on, when the route needs one.
    pub(crate) authorization: Option<&'h str>,
    /// Whose token it is.
    pub(crate) user: Option<Uuid>,
}

impl Visitor<'_> {
    /// Whom the call is counted against.
    pub(crate) fn subject(&self, address: Option<IpAddr>) -> Subject {
        self.subject.unwrap_or_else(|| Subject::of_address(address))
    }
}

/// Who calls, and whether the route is open to them.
pub(crate) async fn check<'h>(policy: &Policy, verifier: &Verifier, headers: &'h HeaderMap) -> Visitor<'h> {
    let Access::User {
        scopes,
        takes_api_tokens,
    } = &policy.access
    else {
        return Visitor {
            subject: None,
            admission: Ok(Admitted::default()),
        };
    };
    match verify(verifier, headers, *takes_api_tokens).await {
        Ok(Bearer {
            user,
            subject,
            verified,
            authorization,
        }) => Visitor {
            subject: Some(subject),
            admission: match missing_scope(&verified, scopes) {
                None => Ok(Admitted {
                    authorization: Some(authorization),
                    user: Some(user),
                }),
                Some(scope) => Err(insufficient(scope)),
            },
        },
        Err(problem) => Visitor {
            subject: None,
            admission: Err(problem),
        },
    }
}

/// Who has brought a good token.
struct Bearer<'h> {
    user: Uuid,
    subject: Subject,
    verified: Verified,
    authorization: &'h str,
}

async fn verify<'h>(
    verifier: &Verifier,
    headers: &'h HeaderMap,
    takes_api_tokens: bool,
) -> Result<Bearer<'h>, Problem> {
    let authorization = exchange::header(headers, header::AUTHORIZATION).unwrap_or_default();
    let token = bearer_token(authorization).ok_or_else(|| refused(Refusal::Missing))?;
    if authorization.len() > MAX_AUTHORIZATION_BYTES {
        return Err(refused(Refusal::Invalid));
    }
    let verified = if takes_api_tokens {
        verifier.verify(token).await
    } else {
        verifier.verify_without_api_tokens(token).await
    };
    let verified = verified.map_err(refused)?;
    let Caller::User {
        user_id: user,
        session_id,
    } = verified.caller
    else {
        return Err(refused(Refusal::Invalid));
    };
    let subject = match verified.credential {
        Credential::ApiToken => Subject::ApiToken(session_id),
        Credential::AccessToken | Credential::ServiceToken => Subject::User(user),
    };
    Ok(Bearer {
        user,
        subject,
        verified,
        authorization,
    })
}

/// What a service's own refusal lacks on its way out. A wrong password is no broken token, so only routes that need a
/// token name one.
pub(crate) fn challenge(policy: &Policy) -> HeaderValue {
    match policy.access {
        Access::Public => HeaderValue::from_static("Bearer"),
        Access::User { .. } => HeaderValue::from_static("Bearer error=\"invalid_token\""),
    }
}

fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn missing_scope<'p>(verified: &Verified, needed: &'p [String]) -> Option<&'p str> {
    let allowed = verified.scopes.as_ref()?;
    needed.iter().find(|scope| !allowed.contains(scope)).map(String::as_str)
}

fn refused(refusal: Refusal) -> Problem {
    let challenge = match refusal {
        Refusal::Missing => "Bearer".to_owned(),
        Refusal::Invalid | Refusal::Expired | Refusal::SessionEnded | Refusal::ApiTokenEnded => {
            format!("Bearer error=\"invalid_token\", error_description=\"{refusal}\"")
        }
        Refusal::ApiTokenNotAllowed => return not_allowed(refusal),
        Refusal::KeysUnavailable => return Problem::unreachable(),
    };
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        Code::Unauthenticated,
        refusal.reason(),
        refusal.to_string(),
    );
    with_challenge(problem, challenge)
}

/// Another scope would not help.
fn not_allowed(refusal: Refusal) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        Code::PermissionDenied,
        refusal.reason(),
        refusal.to_string(),
    )
}

fn insufficient(scope: &str) -> Problem {
    let detail = format!("the token does not allow {scope}");
    let problem = Problem::new(
        StatusCode::FORBIDDEN,
        Code::PermissionDenied,
        "INSUFFICIENT_SCOPE",
        detail,
    );
    with_challenge(
        problem,
        format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""),
    )
}

fn with_challenge(problem: Problem, challenge: String) -> Problem {
    match HeaderValue::try_from(challenge) {
        Ok(challenge) => problem.with_header(header::WWW_AUTHENTICATE, challenge),
        Err(_) => problem,
    }
}
