-- How and when a session's user has shown who they are.
ALTER TABLE sessions
    -- When they last did since the session was opened.
    ADD COLUMN reauthenticated_at timestamptz,
    -- By which methods, as RFC 8176 names them; `mfa` is among them when it was more than one factor.
    ADD COLUMN amr                text[] NOT NULL DEFAULT '{pwd}';

-- An app that makes codes: one for a user, who owns the row.
CREATE TABLE totp_factors (
    user_id        uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- Encrypted.
    secret_sealed  bytea NOT NULL,
    -- The session that asked for it.
    enrolled_by    uuid NOT NULL,
    enrolled_at    timestamptz NOT NULL,
    -- It counts from then on.
    confirmed_at   timestamptz,
    -- The 30 seconds whose code was used last: no earlier code and not this one is taken again.
    last_used_step bigint NOT NULL DEFAULT 0,
    -- Wrong codes since the last right one. They are counted here, and not in Redis, because the row is locked for the code anyway,
    -- so that no guess is lost to a race, and because a Redis that is emptied must not give an attacker a million tries.
    failures       integer NOT NULL DEFAULT 0,
    failed_at      timestamptz,
    blocked_until  timestamptz
);

ALTER TABLE totp_factors ENABLE ROW LEVEL SECURITY;
ALTER TABLE totp_factors FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON totp_factors
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);

-- What stands in for a second factor that is lost. Owned by the user.
CREATE TABLE recovery_codes (
    user_id   uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256: a code has 120 bits, so that nobody can try them all.
    code_hash bytea NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (user_id, code_hash)
);

ALTER TABLE recovery_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE recovery_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON recovery_codes
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);

-- Whether log-ins of the transaction's owner take more than a password. Recovery codes alone do not make them.
CREATE FUNCTION has_second_factor(owner uuid) RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (SELECT FROM totp_factors WHERE totp_factors.user_id = owner AND totp_factors.confirmed_at IS NOT NULL)
$$;
REVOKE ALL ON FUNCTION has_second_factor FROM PUBLIC;
