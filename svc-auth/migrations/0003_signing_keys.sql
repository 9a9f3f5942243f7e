-- The keys that sign access tokens. They belong to nobody, so there is no row-level security.
CREATE TABLE signing_keys (
    id                 text PRIMARY KEY,
    public_key         bytea NOT NULL,
    -- PKCS#8, encrypted.
    private_key_sealed bytea NOT NULL,
    created_at         timestamptz NOT NULL,
    -- A retired key signs nothing; it is still published while tokens that it signed can live.
    retired_at         timestamptz
);

-- One key signs: replicas that start together agree on whose insert came first.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys ((true)) WHERE retired_at IS NULL;
