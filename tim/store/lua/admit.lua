#!lua
local id, app, user, browser, address = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local expires, limit, made = ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12])

local known = find(id)
if known then return {'ok', flat(known), {}} end
local account = key('account', app, user)
if made < tonumber(redis.call('HGET', account, 'void') or 0) then return {'void'} end

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
local instance = {id = id}
set(instance, {
    app = app, user = user, browser = browser, address = address, since = now, expires = expires,
    generation = redis.call('HINCRBY', account, 'generation', 1), stream = 0, detached = now,
})
redis.call('ZADD', key('live', app, user), instance.generation, id)
schedule(instance)
changed(app, user)
return {'ok', flat(instance), all(evicted)}
