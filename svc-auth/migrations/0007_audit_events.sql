-- What happened to accounts. Rows are added and read, never changed; each one's hash covers the one before it, with a key that
-- the database does not have. A row outlives its user, so nothing refers to users.
CREATE TABLE audit_events (
    -- Without gaps: a missing row is seen.
    sequence   bigint PRIMARY KEY CHECK (sequence > 0),
    id         uuid NOT NULL UNIQUE,
    -- Nobody's when a log-in named no account.
    user_id    uuid,
    -- The session that did it, or that was opened.
    session_id uuid,
    -- The session or API token that it was done to.
    object_id  uuid,
    action     text NOT NULL,
    outcome    text NOT NULL,
    address    text NOT NULL,
    user_agent text NOT NULL,
    created_at timestamptz NOT NULL,
    hash       bytea NOT NULL CHECK (length(hash) = 32)
);

CREATE INDEX audit_events_user ON audit_events (user_id, sequence DESC);

ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON audit_events FOR SELECT
    USING (user_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- Nobody's rows are added by a transaction of nobody.
CREATE POLICY append ON audit_events FOR INSERT
    WITH CHECK (user_id IS NOT DISTINCT FROM NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- For the function below and for `svc-auth verify-audit`; see users.
CREATE POLICY lookup ON audit_events FOR SELECT TO CURRENT_USER USING (true);

-- Whoever was granted everything on new tables keeps reading and adding.
DO $$
DECLARE
    grantee name;
BEGIN
    FOR grantee IN
        SELECT DISTINCT privileges.grantee FROM information_schema.role_table_grants AS privileges
        WHERE privileges.table_schema = current_schema() AND privileges.table_name = 'audit_events'
          AND privileges.grantee <> current_user
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON audit_events FROM %I', grantee);
    END LOOP;
END $$;

-- The tables' owner may not either.
CREATE FUNCTION refuse_audit_change() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'audit events are never changed' USING ERRCODE = 'insufficient_privilege';
END $$;
REVOKE ALL ON FUNCTION refuse_audit_change FROM PUBLIC;
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- The end of the chain. Whoever asks holds it until the end of the transaction: links are added one by one.
CREATE FUNCTION lock_audit_head() RETURNS TABLE (sequence bigint, hash bytea)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('auth.audit_events'));
    -- A statement of its own, so that it sees what was committed while it waited.
    RETURN QUERY
        SELECT audit_events.sequence, audit_events.hash FROM audit_events
        ORDER BY audit_events.sequence DESC LIMIT 1;
END $$;
REVOKE ALL ON FUNCTION lock_audit_head FROM PUBLIC;
