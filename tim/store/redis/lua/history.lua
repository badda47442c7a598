#!lua flags=no-writes
-- Reads the newest messages of an account's log.
-- USES: reading
-- KEYS: the shard of the account
-- ARGV: app, user, after, limit, up_to
-- Replies:
--   {'ok', since, entries}  the log's entries, newest first; those with a time before `since` are not remembered
local app, user, after, limit, up_to = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

return {'ok', us(now - remembered), newest_entries(app, user, after, limit, up_to)}
