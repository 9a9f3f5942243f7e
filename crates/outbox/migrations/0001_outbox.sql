-- Events on their way out, events that came in, and events that nobody could handle. Made in the schema of the service
-- that owns the connection: names are unqualified on purpose.

CREATE TABLE outbox (
    -- Taken before the commit, so it may appear out of order: the relay asks for what is unpublished, never for "greater than".
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    subject text NOT NULL,
    event_type text NOT NULL,
    owner_id uuid NOT NULL,
    aggregate_id uuid NOT NULL,
    version bigint NOT NULL,
    -- NATS takes messages of up to 1 MiB with their headers: a larger one fails where it is written, not for ever in the relay.
    payload bytea NOT NULL CHECK (octet_length(payload) <= 1000000),
    traceparent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz
);

CREATE INDEX outbox_unpublished ON outbox (seq) WHERE published_at IS NULL;
CREATE INDEX outbox_by_aggregate ON outbox (aggregate_id, version);
CREATE INDEX outbox_by_age ON outbox (created_at);

-- The stream as this service last saw it. A younger one, or one that has lost its end, gets the retained events again.
CREATE TABLE outbox_stream (
    stream text PRIMARY KEY,
    created_nanoseconds bigint NOT NULL,
    last_sequence bigint NOT NULL
);

-- What a consumer has handled; written in the transaction of the effect.
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);

CREATE INDEX inbox_by_age ON inbox (handled_at);

CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    -- Null when the message was no event.
    event_id uuid,
    subject text NOT NULL,
    headers jsonb NOT NULL,
    payload bytea NOT NULL,
    deliveries bigint NOT NULL,
    error text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (consumer, event_id)
);
