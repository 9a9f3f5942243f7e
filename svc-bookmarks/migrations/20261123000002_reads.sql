-- Reads in one round trip: each function says whose rows it reads, then reads them.

-- A bookmark as the service knows it, with the paths of its collections.
CREATE VIEW bookmark_details WITH (security_invoker = true) AS
SELECT
    bookmarks.owner_id, id, identity, url, title, title_key, description, note, tags, to_read, private,
    create_time, update_time, version,
    COALESCE(
        (
            SELECT jsonb_agg(collections.path ORDER BY collections.path)
            FROM collections
            WHERE collections.owner_id = bookmarks.owner_id AND collections.id = ANY (bookmarks.collection_ids)
        ),
        '[]'
    ) AS collections
FROM bookmarks;

CREATE FUNCTION get_bookmarks(of_owner uuid, ids uuid[]) RETURNS SETOF bookmark_details LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('bookmesh.owner', of_owner::text, true);
    RETURN QUERY SELECT * FROM bookmark_details AS found WHERE found.owner_id = of_owner AND found.id = ANY (ids);
END $$;

-- A page in one of four orders, behind the given place.
CREATE FUNCTION list_bookmarks(
    of_owner uuid, sort text, after_time timestamptz, after_title text, after_id uuid, size bigint
) RETURNS SETOF bookmark_details LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('bookmesh.owner', of_owner::text, true);
    CASE sort
        WHEN 'create_time desc' THEN
            RETURN QUERY SELECT * FROM bookmark_details AS found
            WHERE found.owner_id = of_owner AND (found.create_time, found.id) < (after_time, after_id)
            ORDER BY found.create_time DESC, found.id DESC LIMIT size;
        WHEN 'create_time' THEN
            RETURN QUERY SELECT * FROM bookmark_details AS found
            WHERE found.owner_id = of_owner AND (found.create_time, found.id) > (after_time, after_id)
            ORDER BY found.create_time, found.id LIMIT size;
        WHEN 'update_time desc' THEN
            RETURN QUERY SELECT * FROM bookmark_details AS found
            WHERE found.owner_id = of_owner AND (found.update_time, found.id) < (after_time, after_id)
            ORDER BY found.update_time DESC, found.id DESC LIMIT size;
        WHEN 'title' THEN
            RETURN QUERY SELECT * FROM bookmark_details AS found
            WHERE found.owner_id = of_owner AND (found.title_key, found.id) > (after_title COLLATE "C", after_id)
            ORDER BY found.title_key, found.id LIMIT size;
    END CASE;
END $$;

CREATE FUNCTION count_of_bookmarks(of_owner uuid) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('bookmesh.owner', of_owner::text, true);
    RETURN COALESCE((SELECT bookmark_count FROM owners WHERE owner_id = of_owner), 0);
END $$;

-- The one look across owners: their ids, for rebuilding the search index.
CREATE POLICY every_id ON owners FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION list_owners(after_owner uuid, size bigint) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT owner_id FROM owners WHERE owner_id > after_owner ORDER BY owner_id LIMIT size
$$;
