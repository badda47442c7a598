#!lua flags=allow-oom
-- Adds attempts to deliver events to the log of the app, which keeps the newest.
-- KEYS: the first shard
-- ARGV: app, most, call, deliveries...
--   `deliveries` are JSON, the oldest first. `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok'}
local app, most, call = ARGV[4], tonumber(ARGV[5]), ARGV[6]

local earlier = earlier_reply(call)
if earlier then return earlier end
local log = key('deliveries', app)
redis.call('LPUSH', log, unpack(ARGV, 7))
redis.call('LTRIM', log, 0, most - 1)
return keep_reply(call, {'ok'})
