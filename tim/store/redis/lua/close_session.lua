#!lua flags=allow-oom
-- Ends the session of an operator of the console.
-- KEYS: the shard of the handle
-- ARGV: app, handle
-- Replies:
--   {'ok'}
local app, handle = ARGV[4], ARGV[5]

redis.call('DEL', key('session', app, handle))
return {'ok'}
