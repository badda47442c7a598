-- What scripts know of the events of a webhook. An account's events are a list, the oldest first, as JSON.

-- The action of the event of an end where it is not that of its reason; 'none' for no event.
local end_action = nil

-- Delete the oldest event of an account, unless it is another one than `id` by now. Returns whether any are left.
local function pop_event(app, user, id)
    local list, queue = key('events', app, user), key('event_queue', app)
    local oldest = redis.call('LINDEX', list, 0)
    if oldest and (not id or cjson.decode(oldest).id == id) then
        redis.call('LPOP', list)
        redis.call('HINCRBY', queue, 'waiting', -1)
        if not id then redis.call('HINCRBY', queue, 'dropped', 1) end
        oldest = redis.call('LINDEX', list, 0)
        if not oldest then redis.call('ZREM', key('event_accounts', app), user) end
        if redis.call('EXISTS', key('event_accounts', app)) == 0 then redis.call('HSET', queue, 'waiting', 0) end
    end
    return oldest
end

-- Queue the event that an instance has logged in, logged out or disconnected. `kicked` instances left for its login.
local function queue_event(instance, action, at, kicked)
    if not has_webhook then return end
    local app, user = instance.app, instance.user
    local list, queue, accounts = key('events', app, user), key('event_queue', app), key('event_accounts', app)
    local id = redis.sha1hex(table.concat({instance.id, instance.generation, action == 'Login' and 1 or 0}, '/'))
    local length = redis.call('RPUSH', list, cjson.encode({
        id = id:sub(1, 32), action = action, at = us(at), address = instance.address, kicked = kicked or 0,
        queued = us(now), attempts = 0,
    }))
    redis.call('ZADD', accounts, 'NX', now, user)
    local all = redis.call('HINCRBY', queue, 'waiting', 1)
    for _, name in ipairs({list, queue, accounts}) do redis.call('PEXPIRE', name, 2 * event_life / 1000) end
    if length > account_events or all > shard_events then pop_event(app, user) end
end

-- Queue the event of the end of an instance. One that was away had its event when its seat was released.
queue_end = function(instance, reason, at)
    local action = end_action or (reason == 'away' and 'Disconnect' or 'Logout')
    if not instance.reason and action ~= 'none' then queue_event(instance, action, at) end
end
