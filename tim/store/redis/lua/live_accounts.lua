#!lua flags=no-writes
-- Counts the accounts of an app that have a live instance.
-- KEYS: one shard
-- ARGV: app
-- Replies:
--   {'ok', number}
return {'ok', redis.call('SCARD', key('live_accounts', ARGV[4]))}
