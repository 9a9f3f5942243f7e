-- When the user was last seen to read the mail of this address.
ALTER TABLE users ADD COLUMN email_confirmed_at timestamptz;

-- What mails carry to show that somebody reads them. Owned by the user.
CREATE TABLE mail_tokens (
    id         uuid PRIMARY KEY,
    -- Nobody's when there is no account with the address: it counts for nothing, and is there so that both take the same work.
    user_id    uuid REFERENCES users (id) ON DELETE CASCADE,
    purpose    text NOT NULL CHECK (purpose IN ('confirm_email', 'reset_password', 'change_email', 'undo_email_change')),
    -- SHA-256: the token has 256 bits, so that nobody can try them all.
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    -- The address that the account gets: the new one of a change, the old one of an undoing.
    email      text,
    email_key  text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- A new token takes the place of the one before it. Only a change can be undone by whoever had the address before, however many
-- changes came after it.
CREATE UNIQUE INDEX mail_tokens_user ON mail_tokens (user_id, purpose) WHERE purpose <> 'undo_email_change';
CREATE INDEX mail_tokens_undo ON mail_tokens (email_key) WHERE purpose = 'undo_email_change';
CREATE INDEX mail_tokens_owner ON mail_tokens (user_id);
CREATE INDEX mail_tokens_expired ON mail_tokens (expires_at);

ALTER TABLE mail_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE mail_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON mail_tokens
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (user_id IS NOT DISTINCT FROM NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- The task that sends mails also clears away what has expired.
CREATE POLICY sweep ON mail_tokens
    USING (current_setting('bookmesh.task', true) = 'mails'
           AND NULLIF(current_setting('bookmesh.owner', true), '') IS NULL AND expires_at < now());
-- For the narrow function below; see users.
CREATE POLICY lookup ON mail_tokens FOR SELECT TO CURRENT_USER USING (true);

-- A token names its user. From here on the transaction is that user's.
CREATE FUNCTION adopt_owner_of_mail_token(wanted_hash bytea, wanted_purpose text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
DECLARE
    found_owner uuid;
BEGIN
    SELECT mail_tokens.user_id INTO found_owner FROM mail_tokens
    WHERE mail_tokens.token_hash = wanted_hash AND mail_tokens.purpose = wanted_purpose;
    PERFORM set_config('bookmesh.owner', coalesce(found_owner::text, ''), true);
    RETURN found_owner;
END $$;
REVOKE ALL ON FUNCTION adopt_owner_of_mail_token FROM PUBLIC;

-- Whether somebody else may still take this address back: until then nobody gets it, or whoever took an account over could keep its
-- owner out by taking the address for another one.
CREATE FUNCTION email_is_reserved(wanted_email_key text, wanted_by uuid, moment timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM mail_tokens
        WHERE mail_tokens.email_key = wanted_email_key AND mail_tokens.purpose = 'undo_email_change'
          AND mail_tokens.user_id <> wanted_by AND mail_tokens.expires_at > moment
    )
$$;
REVOKE ALL ON FUNCTION email_is_reserved FROM PUBLIC;

-- A user's own row in one round trip, whatever columns it has. Takes the place of `user_by_id`, which the release before this one
-- still calls.
CREATE FUNCTION own_user(owner uuid) RETURNS SETOF users
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('bookmesh.owner', owner::text, true);
    RETURN QUERY SELECT * FROM users WHERE users.id = owner;
END $$;
REVOKE ALL ON FUNCTION own_user FROM PUBLIC;
