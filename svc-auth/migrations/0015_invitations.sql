-- Invitations to make an account. Owned by whoever invites.
CREATE TABLE invitations (
    id          uuid PRIMARY KEY,
    inviter_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256: the token has 256 bits, so that nobody can try them all.
    token_hash  bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    -- Who is invited: an invitation is good for this address and no other.
    email       text NOT NULL,
    email_key   text NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    accepted_at timestamptz
);

CREATE INDEX invitations_inviter ON invitations (inviter_id, id DESC);

ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON invitations
    USING (inviter_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (inviter_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- For the narrow function below; see users.
CREATE POLICY lookup ON invitations FOR SELECT TO CURRENT_USER USING (true);

-- A token names its invitation. From here on the transaction is that of whoever invited.
CREATE FUNCTION adopt_inviter(wanted_hash bytea) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
DECLARE
    found_owner uuid;
BEGIN
    SELECT invitations.inviter_id INTO found_owner FROM invitations WHERE invitations.token_hash = wanted_hash;
    PERFORM set_config('bookmesh.owner', coalesce(found_owner::text, ''), true);
    RETURN found_owner;
END $$;
REVOKE ALL ON FUNCTION adopt_inviter FROM PUBLIC;

-- Whether a user may invite: admins do. Roles come with a later migration; until then there is no admin.
CREATE FUNCTION may_invite(inviter uuid) RETURNS boolean
    LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (SELECT FROM users WHERE users.id = inviter AND to_jsonb(users) ->> 'role' = 'ADMIN')
$$;
REVOKE ALL ON FUNCTION may_invite FROM PUBLIC;
