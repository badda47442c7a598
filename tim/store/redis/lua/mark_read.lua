#!lua
local account, seq = key('account', ARGV[5], ARGV[6]), tonumber(ARGV[7])

local newest = tonumber(redis.call('HGET', account, 'seq') or 0)
local shown = tonumber(redis.call('HGET', account, 'shown') or 0)
if exists(ARGV[5], ARGV[6]) then redis.call('HSET', account, 'shown', math.max(shown, math.min(seq, newest))) end
return {'ok'}
