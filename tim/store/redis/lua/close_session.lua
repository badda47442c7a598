#!lua flags=allow-oom
-- Ends the session of an operator of the console.
-- KEYS: the shard of the handle
-- ARGV: app, handle
-- Replies:
--   {'ok'}
local app, handle = ARGV[4], ARGV[5]

local session = key('session', app, handle)
local role = redis.call('GET', session)
if role then
    redis.call('DEL', session)
    record(app, {kind = 'console-sign-out', actor = 'console ' .. role})
end
return {'ok'}
