#!lua flags=no-writes
-- Names accounts whose oldest event is due, and is not being sent.
-- KEYS: one shard
-- ARGV: app, many
-- Replies:
--   {'ok', accounts}  `many` at most
local app, many = ARGV[4], tonumber(ARGV[5])

local due = {}
local function add(from, to)
    local accounts = key('event_accounts', app)
    for _, user in ipairs(redis.call('ZRANGEBYSCORE', accounts, from, to, 'LIMIT', 0, many - #due)) do
        local left = redis.call('PTTL', key('event_lease', app, user)) -- -2 where there is none
        if left < 0 or left * 1000 > longest_pause then due[#due + 1] = user end
    end
end
add('-inf', us(now))
add('(' .. us(now + longest_pause), '+inf') -- from before the clock was set back
return {'ok', due}
