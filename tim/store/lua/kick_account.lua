#!lua flags=allow-oom
local app, user = ARGV[5], ARGV[6]

if not exists(app, user) then return {'no-account', user} end
-- A UserSig says only in which second it was made.
local account, before = key('account', app, user), math.floor(now / 1000000) + 1
redis.call('HSET', account, 'void', math.max(before, tonumber(redis.call('HGET', account, 'void') or 0)))
return {'ok', us(before * 1000000 - now), end_all(app, user)}
