-- Log-ins whose password was right and that wait for a second factor. Owned by the user. A row is gone once it has opened a session.
CREATE TABLE login_challenges (
    id               uuid PRIMARY KEY,
    user_id          uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Of the password that was right: a change of password makes the challenge worthless.
    password_version bigint NOT NULL,
    -- What was shown, as RFC 8176 names it.
    amr              text[] NOT NULL,
    expires_at       timestamptz NOT NULL
);

CREATE INDEX login_challenges_user ON login_challenges (user_id, expires_at);

ALTER TABLE login_challenges ENABLE ROW LEVEL SECURITY;
ALTER TABLE login_challenges FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON login_challenges
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
