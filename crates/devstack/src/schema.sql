-- What one service owns in a database. {schema} stands for its name.
CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {schema}_owner;
GRANT USAGE ON SCHEMA {schema} TO {schema}_app;

ALTER DEFAULT PRIVILEGES FOR ROLE {schema}_owner IN SCHEMA {schema}
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {schema}_app;
ALTER DEFAULT PRIVILEGES FOR ROLE {schema}_owner IN SCHEMA {schema}
    GRANT USAGE, SELECT ON SEQUENCES TO {schema}_app;
ALTER DEFAULT PRIVILEGES FOR ROLE {schema}_owner IN SCHEMA {schema}
    GRANT EXECUTE ON FUNCTIONS TO {schema}_app;

-- Roles are the server's, their settings here this database's alone.
DO $$
BEGIN
    EXECUTE format('ALTER ROLE {schema}_owner IN DATABASE %I SET search_path = {schema}', current_database());
    EXECUTE format('ALTER ROLE {schema}_app IN DATABASE %I SET search_path = {schema}', current_database());
END $$;
