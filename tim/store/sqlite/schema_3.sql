-- What a file of version 2 lacks.
-- The same message may be sent again, by REST, once it is old.
DROP INDEX messages_once;
CREATE INDEX messages_by_id ON messages (app, user, instance, id);
-- Bytes of an account's log, as rules.log_size counts them.
ALTER TABLE accounts ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET bytes = (
    SELECT coalesce(sum(length(CAST(text AS BLOB)) + 256), 0)
    FROM messages WHERE messages.app = accounts.app AND messages.user = accounts.user
);
