#!lua flags=no-writes
-- Names accounts whose oldest event is due, and is not being sent.
-- KEYS: one shard
-- ARGV: app, many
-- Replies:
--   {'ok', accounts}  `many` at most
local app, many = ARGV[4], tonumber(ARGV[5])

local due = {}
for _, user in ipairs(redis.call('ZRANGEBYSCORE', key('event_accounts', app), '-inf', us(now), 'LIMIT', 0, many)) do
    if redis.call('EXISTS', key('event_lease', app, user)) == 0 then due[#due + 1] = user end
end
return {'ok', due}
