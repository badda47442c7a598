#!lua
-- Counts a failure under a name; one more than `most` within the window starts a pause.
-- KEYS: the shard of the name
-- ARGV: name, most, call
--   `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', left}  milliseconds of the pause that are left; 0 where there is none
local name, most, call = ARGV[4], tonumber(ARGV[5]), ARGV[6]

local earlier = earlier_reply(call)
if earlier then return earlier end
local failures, left = key('failures', name), redis.call('PTTL', key('pause', name))
-- More is left where the clock was set back.
if left > 0 and left <= pause / 1000 then return {'ok', left} end
redis.call('ZREMRANGEBYSCORE', failures, '-inf', now - window)
redis.call('ZREMRANGEBYSCORE', failures, '(' .. us(now), '+inf') -- from before the clock was set back
local already = redis.call('ZCARD', failures)
if already >= most then
    redis.call('SET', key('pause', name), '', 'PX', pause / 1000)
    return keep_reply(call, {'ok', pause / 1000})
end
redis.call('ZADD', failures, now, us(now) .. '/' .. already)
redis.call('PEXPIRE', failures, window / 1000)
return keep_reply(call, {'ok', 0})
