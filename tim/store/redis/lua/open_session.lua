#!lua flags=allow-oom
-- Keeps the session of an operator of the console.
-- KEYS: the shard of the handle
-- ARGV: app, handle, role, address, call
--   `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok'}
local app, handle, role, address, call = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local earlier = earlier_reply(call)
if earlier then return earlier end
redis.call('SET', key('session', app, handle), role, 'PX', sign_in_life / 1000)
record(app, {kind = 'console-sign-in', address = address, actor = 'console ' .. role})
return keep_reply(call, {'ok'})
