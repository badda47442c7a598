#!lua
local name, most, window, pause, call = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]

local before = answered(call)
if before then return before end
local failures, left = key('failures', name), redis.call('PTTL', key('pause', name))
-- More, where the clock was set back.
if left > 0 and left <= pause / 1000 then return {'ok', left} end
redis.call('ZREMRANGEBYSCORE', failures, '-inf', now - window)
redis.call('ZREMRANGEBYSCORE', failures, '(' .. us(now), '+inf') -- from before the clock was set back
local already = redis.call('ZCARD', failures)
if already >= most then
    redis.call('SET', key('pause', name), '', 'PX', pause / 1000)
    return answer(call, {'ok', pause / 1000})
end
redis.call('ZADD', failures, now, us(now) .. '/' .. already)
redis.call('PEXPIRE', failures, window / 1000)
return answer(call, {'ok', 0})
