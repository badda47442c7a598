-- How a stream is opened.

-- Opens a stream of an instance at a node; one that was away takes a seat again if one is free. With `newest`, the node opens
-- it by itself, and only if that is still the number of the newest stream.
-- Returns the reply where it cannot; or nil, the live instances, and whether it was away.
local function open_stream(instance, node, limit, newest)
    local id, app, user = instance.id, instance.app, instance.user
    local reason, at = ended(instance)
    -- A final end is reported whichever stream is the newest.
    if newest and instance.stream ~= newest and (not reason or reason == 'away') then return {'ok', false} end
    if reason == 'away' then
        -- Writes down that this one is away, if it was not yet; the event of that is its last.
        local seated = live(app, user, true, instance)
        end_action = 'none'
        local expires = ends_at(instance)
        if expires <= now then
            finish(instance, 'userSigExpired', expires)
            return gone(instance, instance.reason, instance.at)
        elseif #seated >= limit then
            -- rules.displaced_by: the newest has the seat.
            local displacer = seated[#seated]
            finish(instance, 'multipleAccount', math.max(tonumber(displacer.since), at), displacer)
            return gone(instance, instance.reason, instance.at)
        end
        redis.call('ZREM', key('away', app, user), id)
        set(instance, {
            reason = false, at = false, by_browser = false, by_address = false,
            generation = redis.call('HINCRBY', key('account', app, user), 'generation', 1),
        })
        redis.call('ZADD', key('live', app, user), instance.generation, id)
        redis.call('SADD', key('live_accounts', app), user)
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
    local acts = instance.idle_life and not newest
    set(instance, {stream = instance.stream + 1, node = node, detached_at = false, active_at = acts and now or nil})
    if old and old ~= node then
        redis.call('SREM', key('attached', old), id)
        notify(old, 'attached', {app = app, user = user, instance = id, stream = instance.stream})
    end
    redis.call('SADD', key('attached', node), id)
    schedule(instance)
    return nil, notify_changed(instance), reason ~= nil
end
