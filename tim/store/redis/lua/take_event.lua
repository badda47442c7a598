#!lua flags=allow-oom
-- Leases the oldest event of an account to a sender, if it is due.
-- KEYS: the shard of the account
-- ARGV: app, user, sender, lease
-- Replies:
--   {'ok', event}  as JSON; its lease ends by itself, in case the sender dies
--   {'ok', false}  none is due, or another sender has the lease
local app, user, sender, lease = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])

local due = redis.call('ZSCORE', key('event_accounts', app), user)
local wait = due and tonumber(due) - now
-- Whoever would wait for longer than any pause was told so before the clock was set back.
if not wait or (wait > 0 and wait <= longest_pause) then return {'ok', false} end
local at = key('event_lease', app, user)
local holder = redis.call('GET', at)
if holder and holder ~= sender and redis.call('PTTL', at) * 1000 <= longest_pause then return {'ok', false} end
local oldest = redis.call('LINDEX', key('events', app, user), 0)
while oldest and cjson.decode(oldest).queued + event_life <= now do oldest = pop_event(app, user) end
if not oldest then
    redis.call('ZREM', key('event_accounts', app), user)
    return {'ok', false}
end
redis.call('SET', at, sender, 'PX', lease / 1000)
return {'ok', oldest}
