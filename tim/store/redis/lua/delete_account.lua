#!lua flags=allow-oom
local app, user, call = ARGV[5], ARGV[6], ARGV[7]

local before = answered(call)
if before then return before end
if not exists(app, user) then return {'no-account', user} end
local ended = end_all(app, user)
-- That a UserSig of its is void stays true, and no generation comes twice.
redis.call('HDEL', key('account', app, user), 'exists', 'seq', 'shown', 'bytes', 'early')
redis.call('DEL', key('log', app, user), key('sent', app, user))
return answer(call, {'ok', ended})
