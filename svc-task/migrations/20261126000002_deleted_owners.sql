-- Keeps out tasks that are asked for late, for an owner who was deleted.
CREATE TRIGGER refuse_deleted_owner BEFORE INSERT ON tasks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deleted_owner();
