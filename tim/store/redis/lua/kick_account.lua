#!lua flags=allow-oom
-- Ends every instance of an account, and revokes its UserSigs that were made or used until now.
-- KEYS: the shard of the account
-- ARGV: app, user
-- Replies:
--   {'ok', left, ended}   microseconds until the next second, from which on new UserSigs are accepted; what it ended
--   {'no-account', user}  there is none
local app, user = ARGV[4], ARGV[5]

if not exists(app, user) then return {'no-account', user} end
-- A UserSig is dated in whole seconds.
local account, next_second = key('account', app, user), math.floor(now / 1000000) + 1
local revoked_before, revoked, early = unpack(redis.call('HMGET', account, 'revoked_before', 'revoked', 'early'))
revoked_before = math.max(next_second, tonumber(revoked_before or 0))
redis.call('HSET', account, 'revoked_before', us(revoked_before))
if revoked or early then
    -- UserSigs that were used and are dated later than this kick.
    local later = usersigs(revoked, revoked_before)
    for usersig, made in pairs(usersigs(early, revoked_before)) do later[usersig] = made end
    keep_usersigs(account, 'revoked', later)
    redis.call('HDEL', account, 'early')
end
return {'ok', us(next_second * 1000000 - now), end_all(app, user)}
