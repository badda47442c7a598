#!lua
local id, node, limit, after, call = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9]

local before = call and answered(call)
if before then return before end
local instance = find(id)
if not instance then return gone({}, 'unknown', now) end
-- A node that is held to be dead must not have streams; it learns of it when it renews, and comes again.
if not redis.call('ZSCORE', key('nodes'), node) then return {'lapsed'} end

local app, user = instance.app, instance.user
local reason, at = fate(instance)
-- An end for good is told whichever stream is the newest.
if after and instance.stream ~= after and (not reason or reason == 'away') then return {'ok', false} end
if reason == 'away' then
    local seated = live(app, user, true)
    if tonumber(instance.expires) <= now then
        finish(instance, 'userSigExpired', tonumber(instance.expires))
        return gone(instance, instance.reason, instance.at)
    elseif #seated >= limit then
        -- rules.displaced_by: the newest has the seat.
        local newest = seated[#seated]
        finish(instance, 'multipleAccount', math.max(tonumber(newest.since), at), newest.browser, newest.address)
        return gone(instance, instance.reason, instance.at)
    end
    redis.call('SREM', key('away', app, user), id)
    redis.call('ZREM', key('stayed', app, user), id)
    set(instance, {
        reason = false, at = false, by_browser = false, by_address = false,
        generation = redis.call('HINCRBY', key('account', app, user), 'generation', 1),
    })
    redis.call('ZADD', key('live', app, user), instance.generation, id)
elseif reason then
    if not instance.reason then finish(instance, reason, at) end
    return gone(instance, reason, at)
end

local old = instance.node
set(instance, {stream = instance.stream + 1, node = node, detached = false})
if old then redis.call('SREM', key('at', old), id) end
redis.call('SADD', key('at', node), id)
if old and old ~= node then
    tell(old, {app = app, user = user, instance = id, stream = instance.stream})
end
schedule(instance)
changed(app, user)
local reply = {'ok', flat(instance)}
return call and answer(call, reply) or reply
