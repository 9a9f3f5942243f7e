-- Whoever comes from a provider has no password, and no address when the provider vouches for none.
ALTER TABLE users ALTER COLUMN email_key DROP NOT NULL;
ALTER TABLE users ADD CONSTRAINT users_email_and_key CHECK ((email = '') = (email_key IS NULL)) NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT users_email_and_key;

-- No password is an empty hash, which none matches. Whatever stores a hash ends that state, also in the release before this one.
ALTER TABLE users ADD CONSTRAINT users_hash_and_pepper CHECK ((password_hash = '') = (pepper_id = '')) NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT users_hash_and_pepper;
