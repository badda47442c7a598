#!lua flags=allow-oom
local app, user = ARGV[5], ARGV[6]

if not exists(app, user) then return {'no-account', user} end
-- A UserSig says only in which second it was made.
local account, before = key('account', app, user), math.floor(now / 1000000) + 1
local void, revoked, early = unpack(redis.call('HMGET', account, 'void', 'revoked', 'early'))
void = math.max(before, tonumber(void or 0))
redis.call('HSET', account, 'void', us(void))
if revoked or early then
    -- Those that were used and say that they were made later than this kick.
    local later = tickets(revoked, void)
    for ticket, made in pairs(tickets(early, void)) do later[ticket] = made end
    keep_tickets(account, 'revoked', later)
    redis.call('HDEL', account, 'early')
end
return {'ok', us(before * 1000000 - now), end_all(app, user)}
