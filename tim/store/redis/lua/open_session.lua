#!lua
-- Keeps the session of an operator of the console.
-- KEYS: the shard of the handle
-- ARGV: app, handle, role
-- Replies:
--   {'ok'}
local app, handle, role = ARGV[4], ARGV[5], ARGV[6]

redis.call('SET', key('session', app, handle), role, 'PX', session_life / 1000)
return {'ok'}
