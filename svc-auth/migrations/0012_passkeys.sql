-- Keys that users' devices keep. Owned by the user.
CREATE TABLE passkeys (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- What the device calls it: nobody else's can be the same.
    credential_id bytea NOT NULL UNIQUE,
    -- The public key and the signature counter, as webauthn-rs writes them.
    credential    text NOT NULL,
    name          text NOT NULL,
    created_at    timestamptz NOT NULL,
    last_used_at  timestamptz
);

CREATE INDEX passkeys_user ON passkeys (user_id, id DESC);

ALTER TABLE passkeys ENABLE ROW LEVEL SECURITY;
ALTER TABLE passkeys FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON passkeys
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);

-- Ceremonies that have been used: each counts once. Those that were only begun are kept nowhere, so that beginning many costs
-- nothing. Owned by the user who used them.
CREATE TABLE used_ceremonies (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- From then on the ceremony is over anyway.
    expires_at timestamptz NOT NULL
);

CREATE INDEX used_ceremonies_user ON used_ceremonies (user_id, expires_at);

ALTER TABLE used_ceremonies ENABLE ROW LEVEL SECURITY;
ALTER TABLE used_ceremonies FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON used_ceremonies
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);

-- A passkey is a second factor too.
CREATE OR REPLACE FUNCTION has_second_factor(owner uuid) RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (SELECT FROM totp_factors WHERE totp_factors.user_id = owner AND totp_factors.confirmed_at IS NOT NULL)
        OR EXISTS (SELECT FROM passkeys WHERE passkeys.user_id = owner)
$$;
