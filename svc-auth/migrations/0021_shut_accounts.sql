-- What an account that is shut has given away counts for nothing.

-- As before, and whoever forgot to revoke a disabled user's API tokens lets nobody in.
CREATE OR REPLACE FUNCTION api_token_for_lookup(wanted_lookup_id text)
    RETURNS TABLE (id uuid, user_id uuid, secret_hash bytea, scopes text[], expires_at timestamptz, revoked_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT api_tokens.id, api_tokens.user_id, api_tokens.secret_hash, api_tokens.scopes, api_tokens.expires_at,
           coalesce(api_tokens.revoked_at, users.disabled_at)
    FROM api_tokens JOIN users ON users.id = api_tokens.user_id
    WHERE api_tokens.lookup_id = wanted_lookup_id
$$;

-- Whether a user may invite: admins do, unless their account is shut.
CREATE OR REPLACE FUNCTION may_invite(inviter uuid) RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (SELECT FROM users WHERE users.id = inviter AND users.role = 'ADMIN' AND users.disabled_at IS NULL)
$$;
