-- Every write begins with its owner's row, so this keeps out whatever comes for an owner who was deleted.
CREATE TRIGGER refuse_deleted_owner BEFORE INSERT ON owners
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deleted_owner();
