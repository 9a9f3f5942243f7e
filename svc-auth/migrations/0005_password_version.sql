-- Counts the changes of a user's password: a log-in that began with the old one must not end in a session.
ALTER TABLE users ADD COLUMN password_version bigint NOT NULL DEFAULT 0;

-- Tells the version too. The release before this one names the columns that it reads.
DROP FUNCTION user_for_login;
CREATE FUNCTION user_for_login(wanted_email_key text)
    RETURNS TABLE (id uuid, password_hash text, pepper_id text, password_version bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = auth, pg_temp
AS $$
    SELECT users.id, users.password_hash, users.pepper_id, users.password_version
    FROM users WHERE users.email_key = wanted_email_key
$$;
REVOKE ALL ON FUNCTION user_for_login FROM PUBLIC;
