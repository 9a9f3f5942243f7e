-- Owners, bookmarks, tags and collections. Row-level security is forced on all: without `bookmesh.owner` there are no rows.

CREATE FUNCTION current_owner() RETURNS uuid LANGUAGE sql STABLE
    RETURN NULLIF(current_setting('bookmesh.owner', true), '')::uuid;

-- One row per owner. Its lock orders the owner's writes, and its version numbers them.
CREATE TABLE owners (
    owner_id uuid PRIMARY KEY,
    version bigint NOT NULL,
    bookmark_count bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE bookmarks (
    owner_id uuid NOT NULL REFERENCES owners,
    id uuid NOT NULL,
    -- SHA-256 of the URL's normalised form: URLs are longer than an index entry may be.
    identity bytea NOT NULL,
    url text NOT NULL,
    title text NOT NULL,
    -- The beginning of the title, folded: what titles sort by.
    title_key text COLLATE "C" NOT NULL,
    description text NOT NULL,
    note text NOT NULL,
    tags text[] NOT NULL,
    -- Lower-case tags, in the order of `tags`.
    tag_keys text[] NOT NULL,
    collection_ids uuid[] NOT NULL,
    to_read boolean NOT NULL,
    private boolean NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (owner_id, id),
    UNIQUE (owner_id, identity)
);
CREATE INDEX bookmarks_by_create_time ON bookmarks (owner_id, create_time, id);
CREATE INDEX bookmarks_by_update_time ON bookmarks (owner_id, update_time, id);
CREATE INDEX bookmarks_by_title ON bookmarks (owner_id, title_key, id);

CREATE TABLE collections (
    owner_id uuid NOT NULL REFERENCES owners,
    id uuid NOT NULL,
    path text[] COLLATE "C" NOT NULL,
    -- SHA-256 of the path: paths are longer than an index entry may be.
    path_key bytea NOT NULL,
    bookmark_count bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (owner_id, id),
    UNIQUE (owner_id, path_key)
) WITH (fillfactor = 70);

-- Tags in use. Kept by a trigger, as are the other counts, so that no write can forget them.
CREATE TABLE tags (
    owner_id uuid NOT NULL REFERENCES owners,
    key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    bookmark_count bigint NOT NULL,
    PRIMARY KEY (owner_id, key)
) WITH (fillfactor = 70);

-- Answers of UpsertBookmarks, so that a batch sent twice is done once.
CREATE TABLE upsert_batches (
    owner_id uuid NOT NULL REFERENCES owners,
    batch_id text NOT NULL,
    response bytea NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (owner_id, batch_id)
);

DO $$
DECLARE owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['owners', 'bookmarks', 'collections', 'tags', 'upsert_batches'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', owned);
        EXECUTE format('CREATE POLICY owner ON %I USING (owner_id = current_owner()) WITH CHECK (owner_id = current_owner())', owned);
    END LOOP;
END $$;

CREATE FUNCTION count_bookmarks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        INSERT INTO tags (owner_id, key, name, bookmark_count)
        SELECT added.owner_id, tag.key, min(tag.name), count(*)
        FROM added, unnest(added.tag_keys, added.tags) AS tag (key, name)
        GROUP BY added.owner_id, tag.key
        ON CONFLICT (owner_id, key) DO UPDATE SET bookmark_count = tags.bookmark_count + excluded.bookmark_count;

        UPDATE collections SET bookmark_count = collections.bookmark_count + change.bookmarks
        FROM (
            SELECT added.owner_id, collection.id, count(*) AS bookmarks
            FROM added, unnest(added.collection_ids) AS collection (id)
            GROUP BY added.owner_id, collection.id
        ) AS change
        WHERE collections.owner_id = change.owner_id AND collections.id = change.id;
    END IF;
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        UPDATE tags SET bookmark_count = tags.bookmark_count - change.bookmarks
        FROM (
            SELECT removed.owner_id, tag.key, count(*) AS bookmarks
            FROM removed, unnest(removed.tag_keys) AS tag (key)
            GROUP BY removed.owner_id, tag.key
        ) AS change
        WHERE tags.owner_id = change.owner_id AND tags.key = change.key;
        DELETE FROM tags
        USING (SELECT DISTINCT removed.owner_id, tag.key FROM removed, unnest(removed.tag_keys) AS tag (key)) AS gone
        WHERE tags.owner_id = gone.owner_id AND tags.key = gone.key AND tags.bookmark_count = 0;

        UPDATE collections SET bookmark_count = collections.bookmark_count - change.bookmarks
        FROM (
            SELECT removed.owner_id, collection.id, count(*) AS bookmarks
            FROM removed, unnest(removed.collection_ids) AS collection (id)
            GROUP BY removed.owner_id, collection.id
        ) AS change
        WHERE collections.owner_id = change.owner_id AND collections.id = change.id;
    END IF;
    IF TG_OP = 'INSERT' THEN
        UPDATE owners SET bookmark_count = owners.bookmark_count + change.bookmarks
        FROM (SELECT owner_id, count(*) AS bookmarks FROM added GROUP BY owner_id) AS change
        WHERE owners.owner_id = change.owner_id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE owners SET bookmark_count = owners.bookmark_count - change.bookmarks
        FROM (SELECT owner_id, count(*) AS bookmarks FROM removed GROUP BY owner_id) AS change
        WHERE owners.owner_id = change.owner_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON bookmarks
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_bookmarks();
CREATE TRIGGER count_updated AFTER UPDATE ON bookmarks
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_bookmarks();
CREATE TRIGGER count_deleted AFTER DELETE ON bookmarks
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_bookmarks();
