#!lua flags=allow-oom
-- Adds attempts to deliver events to the log of the app, which keeps the newest.
-- KEYS: the first shard
-- ARGV: app, most, deliveries...
--   `deliveries` are JSON, the oldest first.
-- Replies:
--   {'ok'}
local app, most = ARGV[4], tonumber(ARGV[5])

local log = key('deliveries', app)
redis.call('LPUSH', log, unpack(ARGV, 6))
redis.call('LTRIM', log, 0, most - 1)
return {'ok'}
