#!lua
-- Records that an account has read its messages up to a number.
-- KEYS: the shard of the account
-- ARGV: app, user, seq
-- Replies:
--   {'ok'}
local app, user, seq = ARGV[4], ARGV[5], tonumber(ARGV[6])

local account = key('account', app, user)
local newest = tonumber(redis.call('HGET', account, 'seq') or 0)
local read_seq = tonumber(redis.call('HGET', account, 'read_seq') or 0)
if exists(app, user) then redis.call('HSET', account, 'read_seq', math.max(read_seq, math.min(seq, newest))) end
return {'ok'}
