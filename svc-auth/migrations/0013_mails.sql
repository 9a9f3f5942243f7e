-- Mails that wait to be sent: written in the transaction of the change that they tell of. A row whose mail is done has no content any
-- more; it counts, for an hour, among the mails that its recipient has had.
CREATE TABLE mails (
    id              uuid PRIMARY KEY,
    -- Whose change it tells of; nobody's when it goes to somebody without an account, or the user is no more.
    user_id         uuid REFERENCES users (id) ON DELETE SET NULL,
    kind            text NOT NULL,
    -- An HMAC of the address, to count by.
    recipient       bytea NOT NULL CHECK (length(recipient) = 32),
    -- Address, subject and text, encrypted: the text has a token in it. Gone when the mail is done.
    sealed          bytea,
    -- Not to be sent: stands for the mail to an account that there is not, so that both take the same work.
    is_decoy        boolean NOT NULL,
    created_at      timestamptz NOT NULL,
    -- Nobody could use it later than this.
    ends_at         timestamptz NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    -- When it was sent or given up.
    done_at         timestamptz,
    CHECK ((sealed IS NULL) = (done_at IS NOT NULL))
);

CREATE INDEX mails_due ON mails (next_attempt_at) WHERE done_at IS NULL;
CREATE INDEX mails_recipient ON mails (recipient, kind, created_at);
CREATE INDEX mails_user ON mails (user_id);
CREATE INDEX mails_done ON mails (created_at) WHERE done_at IS NOT NULL;

-- A mail of a user who is no more loses its content and is done, and goes on counting: nobody gets more mails because somebody makes an
-- account with their address, deletes it, and makes another.
CREATE FUNCTION forget_mail() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    NEW.sealed := NULL;
    NEW.done_at := coalesce(OLD.done_at, now());
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION forget_mail FROM PUBLIC;
CREATE TRIGGER forget BEFORE UPDATE OF user_id ON mails
    FOR EACH ROW WHEN (OLD.user_id IS NOT NULL AND NEW.user_id IS NULL) EXECUTE FUNCTION forget_mail();

ALTER TABLE mails ENABLE ROW LEVEL SECURITY;
ALTER TABLE mails FORCE ROW LEVEL SECURITY;
-- A user's transaction adds the user's mails, and sees none.
CREATE POLICY append ON mails FOR INSERT
    WITH CHECK (user_id IS NOT DISTINCT FROM NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- The task that sends them acts for nobody, and says what it is.
CREATE POLICY sender ON mails
    USING (current_setting('bookmesh.task', true) = 'mails'
           AND NULLIF(current_setting('bookmesh.owner', true), '') IS NULL);
-- For the narrow function below; see users.
CREATE POLICY lookup ON mails FOR SELECT TO CURRENT_USER USING (true);

-- How many mails of a kind a recipient was sent since a moment. Whoever asks holds the number until the end of the transaction.
CREATE FUNCTION count_mails(wanted_recipient bytea, wanted_kind text, since timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('auth.mails ' || wanted_kind || encode(wanted_recipient, 'hex'), 0));
    -- A statement of its own, so that it sees what was committed while it waited.
    RETURN (SELECT count(*) FROM mails
            WHERE mails.recipient = wanted_recipient AND mails.kind = wanted_kind AND mails.created_at > since);
END $$;
REVOKE ALL ON FUNCTION count_mails FROM PUBLIC;
