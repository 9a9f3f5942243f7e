-- Imports, what became of their rows, and the tasks that svc-task owes them.

CREATE TABLE imports (
    id                  uuid PRIMARY KEY,
    owner_id            uuid NOT NULL,
    task_id             uuid NOT NULL UNIQUE,
    state               text NOT NULL DEFAULT 'QUEUED'
                        CHECK (state IN ('QUEUED', 'RUNNING', 'COMPLETED', 'COMPLETED_WITH_WARNINGS', 'FAILED', 'CANCELLED')),
    file_name           text NOT NULL,
    size_bytes          bigint NOT NULL,
    sha256              bytea NOT NULL,
    -- Rows in the whole file, once it has been counted.
    total_rows          integer NOT NULL DEFAULT 0,
    -- Rows dealt with: the place in the file where the next attempt goes on.
    rows                integer NOT NULL DEFAULT 0,
    created             integer NOT NULL DEFAULT 0,
    merged              integer NOT NULL DEFAULT 0,
    unchanged           integer NOT NULL DEFAULT 0,
    skipped             integer NOT NULL DEFAULT 0,
    warnings            integer NOT NULL DEFAULT 0,
    -- The newest lease that a worker came with; writers with an older one are refused.
    lease_token         bigint NOT NULL DEFAULT 0,
    failure_reason      text,
    failure_line        integer,
    failure_description text,
    version             bigint NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL
);

-- The same file of the same owner is not imported twice at a time.
CREATE UNIQUE INDEX imports_unfinished_file ON imports (owner_id, sha256) WHERE state IN ('QUEUED', 'RUNNING');
CREATE INDEX imports_newest ON imports (owner_id, id DESC);

ALTER TABLE imports ENABLE ROW LEVEL SECURITY;
ALTER TABLE imports FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON imports
    USING (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);

CREATE TABLE import_rows (
    import_id   uuid NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    -- Counted from 0, in the order of the file: a line may hold several.
    number      integer NOT NULL,
    owner_id    uuid NOT NULL,
    line        integer NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('CREATED', 'MERGED', 'UNCHANGED', 'SKIPPED')),
    reason      text NOT NULL,
    warnings    text[] NOT NULL,
    url         text NOT NULL,
    bookmark_id uuid,
    PRIMARY KEY (import_id, number)
);

CREATE INDEX import_rows_of_outcome ON import_rows (import_id, outcome, number);

ALTER TABLE import_rows ENABLE ROW LEVEL SECURITY;
ALTER TABLE import_rows FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON import_rows
    USING (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);

-- Which import a task is for, and whose. Ids alone and without row-level security: a job in the queue names its task and
-- nothing else, and tasks that svc-task has not heard of yet are looked for across owners.
CREATE TABLE import_tasks (
    task_id   uuid PRIMARY KEY,
    import_id uuid NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    owner_id  uuid NOT NULL,
    -- svc-task has not confirmed that it has the task.
    owed      boolean NOT NULL DEFAULT true
);

CREATE INDEX import_tasks_owed ON import_tasks (task_id) WHERE owed;
