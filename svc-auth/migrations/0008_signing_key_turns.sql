-- Keys take turns. A key signs from `activates_at` until the next one does; it is published from the moment it is in this table
-- until its row is deleted. `retired_at` says nothing any more.
ALTER TABLE signing_keys ADD COLUMN generation bigint;
ALTER TABLE signing_keys ADD COLUMN activates_at timestamptz NOT NULL DEFAULT now();
UPDATE signing_keys SET activates_at = created_at, generation = ranked.place
FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM signing_keys) AS ranked
WHERE ranked.id = signing_keys.id;

-- Replicas that want to add the next key at the same moment agree on whose insert came first.
CREATE UNIQUE INDEX signing_keys_generation ON signing_keys (generation);
-- More than one key is not retired now. The release before this one signs with the newest of them, which is published too.
DROP INDEX signing_keys_active;
