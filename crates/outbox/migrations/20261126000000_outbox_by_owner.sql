-- For deleting what is about an owner.
CREATE INDEX outbox_by_owner ON outbox (owner_id);
