-- People with an account. A user's row is owned by that user.
CREATE TABLE users (
    id            uuid PRIMARY KEY,
    email         text NOT NULL,
    -- The address in lower case, folded by the service: the database's locale folds ASCII only.
    email_key     text NOT NULL UNIQUE,
    display_name  text NOT NULL,
    -- A PHC string. The pepper that went into it is named, so that another one can take over.
    password_hash text NOT NULL,
    pepper_id     text NOT NULL,
    -- Sessions of an earlier epoch are dead: one update logs a user out everywhere.
    auth_epoch    bigint NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL
);

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON users
    USING (id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- Row-level security is forced on the tables' owner too. It may read, so that the narrow functions below, which run as the
-- owner, can answer before it is known whose row it is. The service's own role is not it.
CREATE POLICY lookup ON users FOR SELECT TO CURRENT_USER USING (true);

-- What a log-in needs to know of the account with this address.
CREATE FUNCTION user_for_login(wanted_email_key text)
    RETURNS TABLE (id uuid, password_hash text, pepper_id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT users.id, users.password_hash, users.pepper_id FROM users WHERE users.email_key = wanted_email_key
$$;
REVOKE ALL ON FUNCTION user_for_login FROM PUBLIC;

-- A user's own row in one round trip: sets the owner for this statement's transaction, then reads under the policy.
CREATE FUNCTION user_by_id(owner uuid)
    RETURNS TABLE (id uuid, email text, display_name text, created_at timestamptz)
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('bookmesh.owner', owner::text, true);
    RETURN QUERY
        SELECT users.id, users.email, users.display_name, users.created_at FROM users WHERE users.id = owner;
END $$;
REVOKE ALL ON FUNCTION user_by_id FROM PUBLIC;
