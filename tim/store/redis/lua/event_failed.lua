#!lua flags=allow-oom
-- Notes that an attempt to deliver an event has failed, and ends the lease of its sender.
-- KEYS: the shard of the account
-- ARGV: app, user, sender, id, pause
--   `pause` is how long the account's events wait now.
-- Replies:
--   {'ok'}  also where the sender had lost its lease, which changes nothing
local app, user, sender, id, pause = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])

local list, at = key('events', app, user), key('event_lease', app, user)
local oldest = redis.call('LINDEX', list, 0)
if redis.call('GET', at) ~= sender or not oldest then return {'ok'} end
redis.call('DEL', at)
local event = cjson.decode(oldest)
if event.id == id then
    event.attempts = event.attempts + 1
    redis.call('LSET', list, 0, cjson.encode(event))
    redis.call('ZADD', key('event_accounts', app), now + pause, user)
end
return {'ok'}
