-- Users who are no more, and the services' word that nothing of them is left. Neither refers to users: both outlive them.

CREATE TABLE deletions (
    user_id      uuid PRIMARY KEY,
    -- In the order of time, for lists.
    id           uuid NOT NULL UNIQUE,
    requested_at timestamptz NOT NULL,
    -- When the services were asked last, and how often.
    asked_at     timestamptz NOT NULL,
    asks         integer NOT NULL DEFAULT 1,
    -- When the last service had answered.
    completed_at timestamptz
);
CREATE INDEX deletions_open ON deletions (asked_at) WHERE completed_at IS NULL;

CREATE TABLE deletion_proofs (
    user_id uuid NOT NULL REFERENCES deletions (user_id),
    service text NOT NULL,
    done_at timestamptz NOT NULL,
    -- How many rows or files of each kind were deleted.
    counts  jsonb NOT NULL,
    PRIMARY KEY (user_id, service)
);

DO $$
DECLARE owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['deletions', 'deletion_proofs'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', owned);
        EXECUTE format(
            'CREATE POLICY owner ON %I USING (user_id = NULLIF(current_setting(''bookmesh.owner'', true), '''')::uuid) '
            'WITH CHECK (user_id = NULLIF(current_setting(''bookmesh.owner'', true), '''')::uuid)', owned);
        -- For the functions below; see users.
        EXECUTE format('CREATE POLICY lookup ON %I FOR SELECT TO CURRENT_USER USING (true)', owned);
    END LOOP;
END $$;

-- Ids alone, of deletions that some service has not answered and that were last asked for long enough ago: 10 seconds at first, then twice as long
-- each time, at most 10 minutes.
CREATE FUNCTION overdue_deletions(moment timestamptz, size bigint) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT deletions.user_id FROM deletions
    WHERE deletions.completed_at IS NULL
      AND deletions.asked_at <= moment - LEAST(interval '5 seconds' * power(2, LEAST(deletions.asks, 10)), interval '10 minutes')
    ORDER BY deletions.asked_at
    LIMIT size
$$;
REVOKE ALL ON FUNCTION overdue_deletions FROM PUBLIC;

-- Deletions with their proofs, for an admin alone: newest first, from before one of them on.
CREATE FUNCTION deletions_for_admin(before uuid, size bigint)
    RETURNS TABLE (id uuid, user_id uuid, requested_at timestamptz, completed_at timestamptz, proofs jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT deletions.id, deletions.user_id, deletions.requested_at, deletions.completed_at,
           COALESCE(
               (
                   SELECT jsonb_agg(
                       jsonb_build_object(
                           'service', proofs.service,
                           'done_microseconds', (extract(epoch FROM proofs.done_at) * 1000000)::bigint,
                           'counts', proofs.counts
                       )
                       ORDER BY proofs.service
                   )
                   FROM deletion_proofs AS proofs WHERE proofs.user_id = deletions.user_id
               ),
               '[]'
           )
    FROM deletions
    WHERE acts_as_admin() AND (before IS NULL OR deletions.id < before)
    ORDER BY deletions.id DESC
    LIMIT size
$$;
REVOKE ALL ON FUNCTION deletions_for_admin FROM PUBLIC;

-- Sessions and API tokens whose rows went with their user, for as long as an access token can be about. Ids that name nothing any more, so there is
-- no row-level security.
CREATE TABLE ended_ids (
    id       uuid PRIMARY KEY,
    ended_at timestamptz NOT NULL
);
CREATE INDEX ended_ids_by_age ON ended_ids (ended_at);

CREATE OR REPLACE FUNCTION ended_sessions(since timestamptz) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT sessions.id FROM sessions WHERE sessions.revoked_at >= since
    UNION ALL
    SELECT api_tokens.id FROM api_tokens WHERE api_tokens.revoked_at >= since
    UNION ALL
    SELECT ended_ids.id FROM ended_ids WHERE ended_ids.ended_at >= since
$$;
