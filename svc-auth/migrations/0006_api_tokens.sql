-- What users' programs come in with. Owned by the user.
CREATE TABLE api_tokens (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The id that the token itself has, and the environment that it names.
    lookup_id    text NOT NULL UNIQUE,
    environment  text NOT NULL,
    -- SHA-256: the secret has 190 bits, so that nobody can try them all.
    secret_hash  bytea NOT NULL CHECK (length(secret_hash) = 32),
    name         text NOT NULL,
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz
);

CREATE INDEX api_tokens_user ON api_tokens (user_id, id DESC) WHERE revoked_at IS NULL;
CREATE INDEX api_tokens_revoked ON api_tokens (revoked_at) WHERE revoked_at IS NOT NULL;

ALTER TABLE api_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON api_tokens
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- For the narrow functions below; see users.
CREATE POLICY lookup ON api_tokens FOR SELECT TO CURRENT_USER USING (true);

-- A token names itself, not its user.
CREATE FUNCTION api_token_for_lookup(wanted_lookup_id text)
    RETURNS TABLE (id uuid, user_id uuid, secret_hash bytea, scopes text[], expires_at timestamptz, revoked_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT api_tokens.id, api_tokens.user_id, api_tokens.secret_hash, api_tokens.scopes, api_tokens.expires_at,
           api_tokens.revoked_at
    FROM api_tokens WHERE api_tokens.lookup_id = wanted_lookup_id
$$;
REVOKE ALL ON FUNCTION api_token_for_lookup FROM PUBLIC;

-- A revoked token is told of like an ended session, also by the release before this one.
CREATE OR REPLACE FUNCTION ended_sessions(since timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT sessions.id FROM sessions WHERE sessions.revoked_at >= since
    UNION ALL
    SELECT api_tokens.id FROM api_tokens WHERE api_tokens.revoked_at >= since
$$;
