#!lua flags=no-writes
-- Reads the live instances of an account.
-- KEYS: the shard of the account
-- ARGV: app, user
-- Replies:
--   {'ok', instances}  the oldest generation first
return {'ok', replies_of(live(ARGV[4], ARGV[5]))}
