-- Keeps out what late events propose for an owner who was deleted.
CREATE TRIGGER refuse_deleted_owner BEFORE INSERT ON enrichments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deleted_owner();
