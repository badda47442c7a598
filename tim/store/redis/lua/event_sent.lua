#!lua flags=allow-oom
-- Removes an event that was delivered, and ends the lease of its sender.
-- KEYS: the shard of the account
-- ARGV: app, user, sender, id
-- Replies:
--   {'ok', left}  1 where the account has another event, else 0
local app, user, sender, id = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local oldest = pop_event(app, user, id)
if oldest then redis.call('ZADD', key('event_accounts', app), now, user) end
local at = key('event_lease', app, user)
if redis.call('GET', at) == sender then redis.call('DEL', at) end
return {'ok', oldest and 1 or 0}
