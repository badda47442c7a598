#!lua
-- Opens a stream of an instance at a node; an instance that was away takes a seat again if one is free.
-- KEYS: the shard of the account
-- ARGV: id, node, limit, after, most, [newest, call]
--   `after` and `most` say which messages the reply has; see `view` in log.lua. With `newest`, only if that is still the
--   number of the newest stream. `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', view, returned}  attached; see `view` in log.lua. `returned` is 1 where the instance was away, else 0
--   {'ok', instance}  attached, where the call has an id
--   {'ok', false}     stream `newest` is not the newest one any more
--   {'gone', instance}  the instance has ended
--   {'unknown', id, at}  there is no such instance
--   {'forgotten'}     the node has not joined, or is dead; it has to join again
local id, node, limit, after, most = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local newest, call = ARGV[9], ARGV[10]

local earlier = call and earlier_reply(call)
if earlier then return earlier end
local instance = find(id)
if not instance then return {'unknown', id, us(now)} end
if not redis.call('ZSCORE', key('nodes'), node) then return {'forgotten'} end

local app, user = instance.app, instance.user
local reason, at = ended(instance)
-- A final end is reported whichever stream is the newest.
if newest and instance.stream ~= newest and (not reason or reason == 'away') then return {'ok', false} end
if reason == 'away' then
    -- Writes down that this one is away, if it was not yet; the event of that is its last.
    local seated = live(app, user, true)
    end_action = 'none'
    local expires = ends_at(instance)
    if expires <= now then
        finish(instance, 'userSigExpired', expires)
        return gone(instance, instance.reason, instance.at)
    elseif #seated >= limit then
        -- rules.displaced_by: the newest has the seat.
        local newest = seated[#seated]
        finish(instance, 'multipleAccount', math.max(tonumber(newest.since), at), newest)
        return gone(instance, instance.reason, instance.at)
    end
    redis.call('ZREM', key('away', app, user), id)
    set(instance, {
        reason = false, at = false, by_browser = false, by_address = false,
        generation = redis.call('HINCRBY', key('account', app, user), 'generation', 1),
    })
    redis.call('ZADD', key('live', app, user), instance.generation, id)
    list(instance)
    queue_event(instance, 'Login', now)
    record(app, {
        kind = 'returned', user = user, instance = id, browser = instance.browser, address = instance.address,
    })
elseif reason then
    if not instance.reason then finish(instance, reason, at) end
    return gone(instance, reason, at)
end

local old = instance.node
-- Where the node opens it by itself, that is no action of the instance.
local acts = instance.idle_life and not newest
set(instance, {stream = instance.stream + 1, node = node, detached_at = false, active_at = acts and now or nil})
if old then redis.call('SREM', key('attached', old), id) end
redis.call('SADD', key('attached', node), id)
if old and old ~= node then
    notify(old, 'attached', {app = app, user = user, instance = id, stream = instance.stream})
end
schedule(instance)
local instances = notify_changed(app, user)
if call then return keep_reply(call, {'ok', flat(instance)}) end
return {'ok', view(instance, instances, after, most), reason and 1 or 0}
