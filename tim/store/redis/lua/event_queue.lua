#!lua flags=no-writes
-- Counts the events that wait, and those that were dropped.
-- KEYS: one shard
-- ARGV: app
-- Replies:
--   {'ok', waiting, dropped}
local waiting, dropped = unpack(redis.call('HMGET', key('event_queue', ARGV[4]), 'waiting', 'dropped'))
return {'ok', waiting or '0', dropped or '0'}
