-- What a user sees of a session, and the other ways in which one can end.
ALTER TABLE sessions
    -- What its user calls it.
    ADD COLUMN name    text NOT NULL DEFAULT '',
    -- Where it was last refreshed from; empty when that is not known.
    ADD COLUMN address text NOT NULL DEFAULT '';

-- Wider than before, so what the release before this one writes still passes.
ALTER TABLE sessions DROP CONSTRAINT sessions_revoked_reason_check;
ALTER TABLE sessions ADD CONSTRAINT sessions_revoked_reason_check
    CHECK (revoked_reason IN ('logout', 'reuse', 'ended', 'password_changed')) NOT VALID;
ALTER TABLE sessions VALIDATE CONSTRAINT sessions_revoked_reason_check;

-- A page of a user's sessions is read in the order of their ids, newest first.
CREATE INDEX sessions_user_live ON sessions (user_id, id DESC) WHERE revoked_at IS NULL;
