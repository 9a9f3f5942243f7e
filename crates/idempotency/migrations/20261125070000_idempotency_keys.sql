-- Answers to requests that their callers have named. Made in the schema of the service that owns the connection: names
-- are unqualified on purpose.

CREATE TABLE idempotency_keys (
    owner_id uuid NOT NULL,
    key text NOT NULL,
    -- SHA-256 of the RPC and of what it was asked.
    request_hash bytea NOT NULL,
    answer bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON idempotency_keys
    USING (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- Row-level security is forced on the table's owner too. It may see what has expired, so that the function below, which
-- runs as the owner, can delete across owners. The service's own role is not it.
CREATE POLICY expired ON idempotency_keys TO CURRENT_USER USING (created_at < now() - interval '24 hours');

CREATE FUNCTION forget_idempotency_keys(size bigint) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH forgotten AS (
        DELETE FROM idempotency_keys WHERE (owner_id, key) IN (
            SELECT owner_id, key FROM idempotency_keys
            WHERE created_at < now() - interval '24 hours' ORDER BY created_at LIMIT size
        )
        RETURNING 1
    )
    SELECT count(*) FROM forgotten
$$;
