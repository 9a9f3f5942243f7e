-- Tasks: rows, and a guard that knows which changes of state are legal.

-- One for all tasks, so that any later lease has a greater token than any earlier one.
CREATE SEQUENCE lease_tokens;

CREATE TABLE tasks (
    id uuid PRIMARY KEY,
    owner_id uuid NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    state text NOT NULL CHECK (state IN (
        'QUEUED', 'RUNNING', 'RETRYING', 'WAITING_INPUT', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED'
    )),
    done integer NOT NULL DEFAULT 0,
    total integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL,
    -- Attempts that a worker has reported as failed.
    failures integer NOT NULL DEFAULT 0,
    -- Leases in a row that ended without a word and without progress.
    losses integer NOT NULL DEFAULT 0,
    error_reason text,
    error_description text,
    next_attempt_at timestamptz,
    -- Of the lease that is held, or of the one that was finished last; none when the last one was lost.
    lease_token bigint,
    -- When somebody has to look: the end of the lease while a worker has it, the next hint while it waits for one.
    due_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version bigint NOT NULL DEFAULT 1
);

CREATE INDEX tasks_by_owner ON tasks (owner_id, created_at DESC, id DESC);
CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;

ALTER TABLE tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE tasks FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON tasks
    USING (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);
-- For the two functions below alone: they run as the role that owns the table, and no process does.
CREATE POLICY sweeper ON tasks TO CURRENT_USER USING (true) WITH CHECK (true);

-- The due tasks of all owners, locked until the end of the transaction; what another replica has locked is its business.
CREATE FUNCTION lock_due_tasks(at_most integer) RETURNS TABLE (id uuid, owner_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT tasks.id, tasks.owner_id FROM tasks
    WHERE due_at <= now() ORDER BY due_at LIMIT at_most
    FOR UPDATE SKIP LOCKED
$$;

-- How many tasks of all owners are in each state that is watched over.
CREATE FUNCTION count_open_tasks() RETURNS TABLE (state text, count bigint)
LANGUAGE sql SECURITY DEFINER STABLE SET search_path FROM CURRENT
AS $$
    SELECT tasks.state, count(*) FROM tasks WHERE due_at IS NOT NULL GROUP BY tasks.state
$$;

CREATE FUNCTION refuse_illegal_change() RETURNS trigger LANGUAGE plpgsql
AS $$
BEGIN
    IF (OLD.state || ' ' || NEW.state) NOT IN (
        'QUEUED RUNNING', 'QUEUED CANCELLED',
        'RETRYING RUNNING', 'RETRYING CANCELLED',
        'WAITING_INPUT CANCELLED',
        'RUNNING SUCCEEDED', 'RUNNING FAILED', 'RUNNING RETRYING', 'RUNNING CANCELLING',
        'CANCELLING SUCCEEDED', 'CANCELLING CANCELLED'
    ) THEN
        RAISE EXCEPTION 'a task cannot go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER legal_changes_only BEFORE UPDATE OF state ON tasks
FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION refuse_illegal_change();

REVOKE EXECUTE ON FUNCTION lock_due_tasks(integer), count_open_tasks() FROM PUBLIC;
