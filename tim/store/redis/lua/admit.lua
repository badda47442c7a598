#!lua
local id, app, user, browser, address = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local expires, limit, made = ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12])

local known = find(id)
if known then return {'ok', flat(known), {}} end
local account = key('account', app, user)
local void, revoked, early = unpack(redis.call('HMGET', account, 'void', 'revoked', 'early'))
local ticket = us(made) .. '/' .. expires
if made < tonumber(void or 0) or tickets(revoked)[ticket] then return {'void'} end

-- rules.leaving: the detached first, then the oldest generation.
local seated = live(app, user, true)
table.sort(seated, function(a, b)
    if (a.detached == nil) ~= (b.detached == nil) then return a.detached ~= nil end
    return tonumber(a.generation) < tonumber(b.generation)
end)
local evicted = {}
for n = 1, #seated + 1 - limit do
    finish(seated[n], 'multipleAccount', now, browser, address)
    evicted[n] = seated[n]
end

redis.call('HSET', account, 'exists', 1)
-- Its maker's clock is ahead: a kick has to know it, as it will say that it was made after the kick.
if made * 1000000 > now and made < never then
    local known = tickets(early, now / 1000000)
    known[ticket] = made
    keep_tickets(account, 'early', known)
end
local instance = {id = id}
set(instance, {
    app = app, user = user, browser = browser, address = address, since = now, expires = expires,
    generation = redis.call('HINCRBY', account, 'generation', 1), stream = 0, detached = now,
})
redis.call('ZADD', key('live', app, user), instance.generation, id)
schedule(instance)
changed(app, user)
return {'ok', flat(instance), all(evicted)}
