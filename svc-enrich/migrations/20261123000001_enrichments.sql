-- What is proposed for a bookmark, and what remains of one that was deleted.
CREATE TABLE enrichments (
    owner_id         uuid NOT NULL,
    bookmark_id      uuid NOT NULL,
    -- The version of the bookmark that the proposals were made from, or that deleted it.
    bookmark_version bigint NOT NULL,
    -- Events can come out of order: a bookmark that was deleted stays so, whatever comes after.
    deleted          boolean NOT NULL DEFAULT false,
    -- [{"name": text, "confidence": number}], best first.
    tags             jsonb NOT NULL DEFAULT '[]',
    summary          text NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (owner_id, bookmark_id)
);

ALTER TABLE enrichments ENABLE ROW LEVEL SECURITY;
ALTER TABLE enrichments FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON enrichments
    USING (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid)
    WITH CHECK (owner_id = NULLIF(current_setting('bookmesh.owner', true), '')::uuid);

-- One round trip for a read: sets the owner for this statement's transaction, then reads under the policy.
CREATE FUNCTION enrichment_of(owner uuid, wanted_bookmark_id uuid)
    RETURNS TABLE (bookmark_version bigint, tags jsonb, summary text, created_at timestamptz)
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('bookmesh.owner', owner::text, true);
    RETURN QUERY
        SELECT enrichments.bookmark_version, enrichments.tags, enrichments.summary, enrichments.created_at
        FROM enrichments
        WHERE enrichments.owner_id = owner AND enrichments.bookmark_id = wanted_bookmark_id
          AND NOT enrichments.deleted;
END $$;
REVOKE ALL ON FUNCTION enrichment_of FROM PUBLIC;
