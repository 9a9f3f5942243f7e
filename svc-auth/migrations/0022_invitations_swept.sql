-- An invitation ends when it is accepted or has expired, and its row, which has an address, with it. The release before this one still
-- notes acceptance in `accepted_at`; such rows are cleared away too.
CREATE POLICY sweep ON invitations
    USING (current_setting('bookmesh.task', true) = 'mails'
           AND NULLIF(current_setting('bookmesh.owner', true), '') IS NULL
           AND (expires_at < now() OR accepted_at IS NOT NULL));
CREATE INDEX invitations_expired ON invitations (expires_at);
