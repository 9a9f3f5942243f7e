-- Accounts at other providers that one can log in with. Owned by the user. Who somebody is, issuer and subject say, and never an
-- e-mail address: a provider may give an address to somebody else.
CREATE TABLE identities (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider_id  text NOT NULL,
    issuer       text NOT NULL,
    subject      text NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    UNIQUE (issuer, subject),
    -- One for each provider, so that a list of them is short.
    UNIQUE (user_id, issuer)
);

ALTER TABLE identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE identities FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON identities
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- For the narrow function below; see users.
CREATE POLICY lookup ON identities FOR SELECT TO CURRENT_USER USING (true);

-- A provider names its own account, not the user.
CREATE FUNCTION identity_for_log_in(wanted_issuer text, wanted_subject text)
    RETURNS TABLE (id uuid, user_id uuid, password_version bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT identities.id, identities.user_id, users.password_version
    FROM identities JOIN users ON users.id = identities.user_id
    WHERE identities.issuer = wanted_issuer AND identities.subject = wanted_subject
$$;
REVOKE ALL ON FUNCTION identity_for_log_in FROM PUBLIC;

-- Log-ins at providers that are under way: nobody's, or, to link an account, the user's. Each is deleted when it is completed.
CREATE TABLE oidc_attempts (
    -- SHA-256 of what the provider sends the browser back with, and of what the browser keeps: 256 random bits each.
    state_hash     bytea PRIMARY KEY CHECK (length(state_hash) = 32),
    binding_hash   bytea NOT NULL CHECK (length(binding_hash) = 32),
    user_id        uuid REFERENCES users (id) ON DELETE CASCADE,
    session_id     uuid,
    provider_id    text NOT NULL,
    -- As it was at the start: a provider whose issuer has changed since is another one.
    issuer         text NOT NULL,
    redirect_uri   text NOT NULL,
    -- The nonce and the PKCE verifier, encrypted.
    secrets_sealed bytea NOT NULL,
    expires_at     timestamptz NOT NULL,
    CHECK ((user_id IS NULL) = (session_id IS NULL))
);

CREATE INDEX oidc_attempts_expires ON oidc_attempts (expires_at);
CREATE INDEX oidc_attempts_user ON oidc_attempts (user_id) WHERE user_id IS NOT NULL;

ALTER TABLE oidc_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE oidc_attempts FORCE ROW LEVEL SECURITY;
-- Nobody's are seen by a transaction of nobody, unless it is a task's.
CREATE POLICY owner ON oidc_attempts
    USING (user_id IS NOT DISTINCT FROM NULLIF(current_setting('bookmesh.owner', true), '')::uuid
           AND NULLIF(current_setting('bookmesh.task', true), '') IS NULL)
    WITH CHECK (user_id IS NOT DISTINCT FROM NULLIF(current_setting('bookmesh.owner', true), '')::uuid
                AND NULLIF(current_setting('bookmesh.task', true), '') IS NULL);
