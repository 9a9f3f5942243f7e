//! What a handler asks about its caller; the identity layer has verified the token by then.

use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::{identity::Caller, status};

/// A person and the log-in they came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserCaller {
    /// The user.
    pub user_id: Uuid,
    /// The log-in.
    pub session_id: Uuid,
}

/// Whose data the call is about: the user, or the owner that the service token names.
pub fn owner<T>(request: &Request<T>) -> Result<Uuid, Status> {
    match caller(request)? {
        Caller::User { user_id, .. } => Ok(*user_id),
        Caller::Service { owner_id, .. } if owner_id.is_nil() => Err(refused("the service token names no owner")),
        Caller::Service { owner_id, .. } => Ok(*owner_id),
    }
}

/// The user who calls; a service does not count as one.
pub fn user<T>(request: &Request<T>) -> Result<UserCaller, Status> {
    match caller(request)? {
        Caller::User { user_id, session_id } => Ok(UserCaller {
            user_id: *user_id,
            session_id: *session_id,
        }),
        Caller::Service { .. } => Err(refused("only users may call this")),
    }
}

/// The one who calls, for handlers that tell users and services apart.
pub fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    let missing = || status::with_reason(Code::Unauthenticated, "TOKEN_MISSING", "a token is required", &[]);
    request.extensions().get::<Caller>().ok_or_else(missing)
}

fn refused(message: &str) -> Status {
    status::with_reason(Code::PermissionDenied, "CALLER_NOT_ALLOWED", message, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_of(caller: Caller) -> Request<()> {
        let mut request = Request::new(());
        request.extensions_mut().insert(caller);
        request
    }

    #[test]
    fn the_owner_is_the_user_or_whom_the_service_works_for() {
        let id = Uuid::from_u128(7);

        let user = request_of(Caller::User {
            user_id: id,
            session_id: Uuid::from_u128(8),
        });
        let service = request_of(Caller::Service {
            name: "svc-import".into(),
            owner_id: id,
        });

        assert_eq!(owner(&user).unwrap(), id);
        assert_eq!(owner(&service).unwrap(), id);
    }

    #[test]
    fn a_service_is_no_user_and_may_work_for_nobody() {
        let service = request_of(Caller::Service {
            name: "svc-import".into(),
            owner_id: Uuid::nil(),
        });

        assert_eq!(super::user(&service).unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(owner(&service).unwrap_err().code(), Code::PermissionDenied);
    }

    #[test]
    fn nobody_is_unauthenticated() {
        assert_eq!(owner(&Request::new(())).unwrap_err().code(), Code::Unauthenticated);
    }
}
