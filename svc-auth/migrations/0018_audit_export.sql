-- The chain as it is stored, for an admin alone: the links after one of them, up to another.
CREATE FUNCTION audit_links_for_admin(after bigint, up_to bigint, size bigint)
    RETURNS TABLE (sequence bigint, id uuid, user_id uuid, session_id uuid, object_id uuid, action text, outcome text,
                   address text, user_agent text, created_at timestamptz, hash bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT events.sequence, events.id, events.user_id, events.session_id, events.object_id, events.action,
           events.outcome, events.address, events.user_agent, events.created_at, events.hash
    FROM audit_events AS events
    WHERE acts_as_admin() AND events.sequence > after AND events.sequence <= up_to
    ORDER BY events.sequence
    LIMIT size
$$;
REVOKE ALL ON FUNCTION audit_links_for_admin FROM PUBLIC;
