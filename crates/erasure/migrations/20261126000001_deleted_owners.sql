-- Owners whose data was deleted, so that nothing brings it back. Made in the schema of the service that owns the connection: names are
-- unqualified on purpose. Ids and counts alone, of everybody, so there is no row-level security.

CREATE TABLE deleted_owners (
    owner_id uuid PRIMARY KEY,
    deleted_at timestamptz NOT NULL,
    -- How many rows or files of each kind were deleted.
    counts jsonb NOT NULL,
    -- When nothing was left of the owner on its way to others either.
    settled_at timestamptz
);
CREATE INDEX deleted_owners_unsettled ON deleted_owners (deleted_at) WHERE settled_at IS NULL;

-- For a trigger BEFORE INSERT of a table of which every write begins with an insert: refuses whatever comes for an owner who was deleted.
-- Whoever writes shares a lock with others until the end of the transaction; whoever deletes has it alone. So a write is either committed
-- before the deletion looks, or sees it.
CREATE FUNCTION refuse_deleted_owner() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner text := NULLIF(current_setting('bookmesh.owner', true), '');
BEGIN
    IF owner IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('data of ' || current_schema() || owner, 0));
        -- A statement of its own, so that it sees what was committed while it waited.
        IF EXISTS (SELECT FROM deleted_owners WHERE owner_id = owner::uuid) THEN
            RAISE EXCEPTION 'the owner was deleted' USING ERRCODE = 'BM001';
        END IF;
    END IF;
    RETURN NULL;
END $$;
