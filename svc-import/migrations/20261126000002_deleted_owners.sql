-- Everything else here is part of an import, so this keeps out whatever comes for an owner who was deleted.
CREATE TRIGGER refuse_deleted_owner BEFORE INSERT ON imports
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deleted_owner();
