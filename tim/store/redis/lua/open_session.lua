#!lua
-- Keeps the session of an operator of the console.
-- KEYS: the shard of the handle
-- ARGV: app, handle, role, address
-- Replies:
--   {'ok'}
local app, handle, role, address = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

redis.call('SET', key('session', app, handle), role, 'PX', session_life / 1000)
record(app, {kind = 'console-sign-in', address = address, actor = 'console ' .. role})
return {'ok'}
