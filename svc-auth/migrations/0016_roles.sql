-- Who runs an installation, and what they may do to accounts.

ALTER TABLE users
    ADD COLUMN role text NOT NULL DEFAULT 'USER' CHECK (role IN ('USER', 'ADMIN')),
    -- Since when an admin has shut the account.
    ADD COLUMN disabled_at timestamptz,
    -- An admin wants another password before the next log-in.
    ADD COLUMN password_reset_required boolean NOT NULL DEFAULT false;

ALTER TABLE sessions DROP CONSTRAINT sessions_revoked_reason_check;
ALTER TABLE sessions ADD CONSTRAINT sessions_revoked_reason_check
    CHECK (revoked_reason IN ('logout', 'reuse', 'ended', 'password_changed', 'ended_by_admin')) NOT VALID;
ALTER TABLE sessions VALIDATE CONSTRAINT sessions_revoked_reason_check;

-- One row once somebody has registered: whoever adds it is the first user, and admin. Others that register at the same moment wait
-- for that transaction's end. Belongs to nobody, so there is no row-level security.
CREATE TABLE first_registration (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton)
);
-- An installation that is older than this has its first user; `svc-auth make-admin` makes its admin.
INSERT INTO first_registration SELECT true WHERE EXISTS (SELECT FROM users);

-- A page of an admin's list is read in the order of the ids, newest first.
CREATE INDEX users_email_prefix ON users (email_key text_pattern_ops);
CREATE INDEX users_admins ON users (id) WHERE role = 'ADMIN';

-- Whether the transaction is an admin's. The functions below, which see everybody's rows, ask it for themselves: a handler that
-- forgets to ask shows nothing.
CREATE FUNCTION acts_as_admin() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM users
        WHERE users.id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid
          AND users.role = 'ADMIN' AND users.disabled_at IS NULL
    )
$$;
REVOKE ALL ON FUNCTION acts_as_admin FROM PUBLIC;

-- Accounts, for an admin alone: newest first, from before one of them on. The prefix is a pattern of LIKE.
CREATE FUNCTION users_for_admin(before uuid, email_key_pattern text, wanted_disabled boolean, size bigint)
    RETURNS TABLE (id uuid, email text, display_name text, role text, disabled_at timestamptz,
                   password_reset_required boolean, created_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT users.id, users.email, users.display_name, users.role, users.disabled_at, users.password_reset_required,
           users.created_at
    FROM users
    WHERE acts_as_admin()
      AND (before IS NULL OR users.id < before)
      AND coalesce(users.email_key, '') LIKE email_key_pattern
      AND (wanted_disabled IS NULL OR (users.disabled_at IS NOT NULL) = wanted_disabled)
    ORDER BY users.id DESC
    LIMIT size
$$;
REVOKE ALL ON FUNCTION users_for_admin FROM PUBLIC;

-- What one account did and what was done to it, for an admin alone.
CREATE FUNCTION audit_events_for_admin(about uuid, before bigint, size bigint)
    RETURNS TABLE (sequence bigint, id uuid, user_id uuid, session_id uuid, object_id uuid, action text, outcome text,
                   address text, user_agent text, created_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT events.sequence, events.id, events.user_id, events.session_id, events.object_id, events.action,
           events.outcome, events.address, events.user_agent, events.created_at
    FROM audit_events AS events
    WHERE acts_as_admin()
      AND (events.user_id = about OR events.object_id = about)
      AND (before IS NULL OR events.sequence < before)
    ORDER BY events.sequence DESC
    LIMIT size
$$;
REVOKE ALL ON FUNCTION audit_events_for_admin FROM PUBLIC;
CREATE INDEX audit_events_object ON audit_events (object_id, sequence DESC) WHERE object_id IS NOT NULL;

-- Whether an installation would keep an admin without this one. Whoever asks holds the answer until the end of the transaction: two
-- admins cannot take the role from each other at once.
CREATE FUNCTION has_other_admin(besides uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('auth.admins'));
    -- A statement of its own, so that it sees what was committed while it waited.
    RETURN EXISTS (
        SELECT FROM users WHERE users.role = 'ADMIN' AND users.disabled_at IS NULL AND users.id <> besides
    );
END $$;
REVOKE ALL ON FUNCTION has_other_admin FROM PUBLIC;

-- A session of a disabled user counts for nothing, whoever forgot to end it.
CREATE OR REPLACE FUNCTION session_is_live(owner uuid, wanted_id uuid, moment timestamptz) RETURNS boolean
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('bookmesh.owner', owner::text, true);
    RETURN EXISTS (
        SELECT FROM sessions JOIN users ON users.id = sessions.user_id
        WHERE sessions.id = wanted_id AND sessions.user_id = owner
          AND sessions.revoked_at IS NULL AND sessions.expires_at > moment
          AND sessions.auth_epoch = users.auth_epoch AND users.disabled_at IS NULL
    );
END $$;
