#!lua flags=no-writes
-- Reads the counters of an app.
-- KEYS: one shard
-- ARGV: app
-- Replies:
--   {'ok', counts}  names and numbers in turn
return {'ok', redis.call('HGETALL', key('counts', ARGV[4]))}
