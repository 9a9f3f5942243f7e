-- Log-ins: one row each, whatever number of times its tokens are refreshed. Owned by the user.
CREATE TABLE sessions (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The generation of the refresh token that is good now.
    generation      bigint NOT NULL CHECK (generation > 0),
    -- The key of this session's refresh tokens, encrypted.
    hmac_key_sealed bytea NOT NULL,
    auth_epoch      bigint NOT NULL,
    user_agent      text NOT NULL,
    created_at      timestamptz NOT NULL,
    -- When it ends however it is used.
    expires_at      timestamptz NOT NULL,
    -- When the generation began: the last use.
    rotated_at      timestamptz NOT NULL,
    revoked_at      timestamptz,
    revoked_reason  text CHECK (revoked_reason IN ('logout', 'reuse')),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON sessions
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- For the narrow functions below; see users.
CREATE POLICY lookup ON sessions FOR SELECT TO CURRENT_USER USING (true);

-- A refresh token names its session, not its user. From here on the transaction is that user's.
CREATE FUNCTION adopt_owner_of_session(wanted_id uuid) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
DECLARE
    found_owner uuid;
BEGIN
    SELECT sessions.user_id INTO found_owner FROM sessions WHERE sessions.id = wanted_id;
    PERFORM set_config('bookmesh.owner', coalesce(found_owner::text, ''), true);
    RETURN found_owner;
END $$;
REVOKE ALL ON FUNCTION adopt_owner_of_session FROM PUBLIC;

-- Ids, and nothing else, of the sessions that were ended at or after a moment, of all users.
CREATE FUNCTION ended_sessions(since timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT sessions.id FROM sessions WHERE sessions.revoked_at >= since
$$;
REVOKE ALL ON FUNCTION ended_sessions FROM PUBLIC;

-- Whether a session may still be used, in one round trip.
CREATE FUNCTION session_is_live(owner uuid, wanted_id uuid, moment timestamptz) RETURNS boolean
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('bookmesh.owner', owner::text, true);
    RETURN EXISTS (
        SELECT FROM sessions JOIN users ON users.id = sessions.user_id
        WHERE sessions.id = wanted_id AND sessions.user_id = owner
          AND sessions.revoked_at IS NULL AND sessions.expires_at > moment
          AND sessions.auth_epoch = users.auth_epoch
    );
END $$;
REVOKE ALL ON FUNCTION session_is_live FROM PUBLIC;
