//! What a user may do in an installation. Pure.

use std::str::FromStr;

/// What everybody may do: all of their own.
const USER_SCOPES: &str = "account:read account:write bookmarks:read bookmarks:write imports:read imports:write \
                           tasks:read tasks:write";
const ADMIN_SCOPES: &str = "account:read account:write admin:read admin:write bookmarks:read bookmarks:write \
                            imports:read imports:write tasks:read tasks:write";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Admin,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::User => "USER",
            Role::Admin => "ADMIN",
        }
    }

    /// What an access token of theirs says. Handlers that take more than a user's scopes ask Postgres again.
    pub(crate) fn scopes(self) -> &'static str {
        match self {
            Role::User => USER_SCOPES,
            Role::Admin => ADMIN_SCOPES,
        }
    }
}

impl FromStr for Role {
    type Err = sqlx::Error;

    /// From the database: any other word was written by a newer release.
    fn from_str(text: &str) -> sqlx::Result<Role> {
        match text {
            "USER" => Ok(Role::User),
            "ADMIN" => Ok(Role::Admin),
            unknown => Err(sqlx::Error::Decode(format!("{unknown} is no role").into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_may_do_what_a_user_may_and_more() {
        let of = |role: Role| role.scopes().split(' ').collect::<Vec<_>>();

        let more: Vec<&str> = of(Role::Admin)
            .into_iter()
            .filter(|scope| !of(Role::User).contains(scope))
            .collect();

        assert_eq!(more, ["admin:read", "admin:write"]);
        assert_eq!(of(Role::Admin).len(), of(Role::User).len() + 2);
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in [Role::User, Role::Admin] {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        }
        assert!("OWNER".parse::<Role>().is_err());
    }
}
