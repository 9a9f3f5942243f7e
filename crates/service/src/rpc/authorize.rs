//! Holds a call against the policy of its RPC.

use http::{HeaderMap, header::AUTHORIZATION};
use tonic::{Code, Status};

use crate::{
    identity::{Caller, Refusal, Verified, Verifier},
    policy::Access,
    status,
};

/// The caller whom the policy lets in; none when it asks for none.
pub(super) async fn authorize(
    access: &Access,
    headers: &HeaderMap,
    verifier: &Verifier,
) -> Result<Option<Caller>, Status> {
    match access {
        Access::Public => Ok(None),
        Access::Nobody => Err(denied("POLICY_MISSING", "the contract lets nobody call this")),
        Access::User {
            scopes,
            takes_api_tokens,
        } => allow_user(verify_user(headers, verifier, *takes_api_tokens).await?, scopes).map(Some),
        Access::Service { callers } => allow_service(verify(headers, verifier).await?, callers).map(Some),
    }
}

async fn verify(headers: &HeaderMap, verifier: &Verifier) -> Result<Verified, Status> {
    let token = bearer(headers).ok_or_else(|| Refusal::Missing.status())?;
    verifier.verify(token).await.map_err(Refusal::status)
}

async fn verify_user(headers: &HeaderMap, verifier: &Verifier, takes_api_tokens: bool) -> Result<Verified, Status> {
    if takes_api_tokens {
        return verify(headers, verifier).await;
    }
    let token = bearer(headers).ok_or_else(|| Refusal::Missing.status())?;
    verifier.verify_without_api_tokens(token).await.map_err(Refusal::status)
}

/// The scheme is matched in any case (RFC 9110).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn allow_user(verified: Verified, needed: &[String]) -> Result<Caller, Status> {
    let Caller::User { .. } = verified.caller else {
        return Err(Refusal::Invalid.status());
    };
    if let Some(scopes) = &verified.scopes
        && let Some(missing) = needed.iter().find(|scope| !scopes.contains(scope))
    {
        let message = format!("the token does not allow {missing}");
        return Err(status::with_reason(
            Code::PermissionDenied,
            "SCOPE_MISSING",
            message,
            &[("scope", missing)],
        ));
    }
    Ok(verified.caller)
}

fn allow_service(verified: Verified, callers: &[String]) -> Result<Caller, Status> {
    let Caller::Service { name, .. } = &verified.caller else {
        return Err(Refusal::Invalid.status());
    };
    if !callers.contains(name) {
        return Err(denied("CALLER_NOT_ALLOWED", "this service may not call this"));
    }
    Ok(verified.caller)
}

fn denied(reason: &str, message: &str) -> Status {
    status::with_reason(Code::PermissionDenied, reason, message, &[])
}
