#!lua flags=allow-oom
local lease, patience, many = tonumber(ARGV[5]), tonumber(ARGV[6]), 100
-- The caller needs the hints too: he is answered only who has ended, and not who is detached now.
me = ''

-- A node is dead if it alone was silent. Where nobody was heard for long, it was this server that was away.
local silence = now - (redis.call('GET', key('pulse')) or now)
redis.call('SET', key('pulse'), us(now))
if silence < 0 then
    -- The clock was set back: leases and what waits must not last so much longer.
    for _, node in ipairs(redis.call('ZRANGEBYSCORE', key('nodes'), us(now + lease), '+inf')) do
        redis.call('ZADD', key('nodes'), now + lease, node)
    end
    for _, entry in ipairs(redis.call('ZRANGEBYSCORE', key('outbox'), us(now), '+inf')) do
        redis.call('ZADD', key('outbox'), now, entry)
    end
end
for _, node in ipairs(redis.call('ZRANGEBYSCORE', key('nodes'), '-inf', us(now))) do
    if silence > lease / 2 then
        redis.call('ZADD', key('nodes'), now + lease, node)
    else
        for _, id in ipairs(redis.call('SMEMBERS', key('at', node))) do
            local instance = find(id)
            set(instance, {node = false, detached = now})
            schedule(instance)
            changed(instance.app, instance.user)
        end
        for _, id in ipairs(redis.call('SMEMBERS', key('owed', node))) do
            local instance = find(id)
            set(instance, {node = false})
            schedule(instance)
        end
        redis.call('DEL', key('at', node), key('owed', node))
        redis.call('ZREM', key('nodes'), node)
    end
end

local ended = {}
local due = redis.call('ZRANGEBYSCORE', key('due'), '-inf', us(now), 'LIMIT', 0, many)
for _, id in ipairs(due) do
    local instance = find(id)
    local reason, at = fate(instance)
    if not reason then
        schedule(instance) -- another node has a shorter grace time
    elseif not instance.reason then
        finish(instance, reason, at)
        changed(instance.app, instance.user)
        ended[#ended + 1] = instance
    elseif instance.node then
        redis.call('ZADD', key('due'), now + lease, id) -- its stream has not heard it yet
    else
        forget(instance)
    end
end

-- Messages whose sender's process died before it had written the receiver's copy.
local unsent = {}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', key('outbox'), '-inf', us(now - patience), 'LIMIT', 0, many)) do
    local app, user, seq = string.match(entry, '^(%d+):(.+):(%d+)$')
    local found = redis.call('XRANGE', key('log', app, user), seq, seq)[1]
    unsent[#unsent + 1] = {entry, app, found and found[2] or {}}
end
return {'ok', #due == many and 1 or 0, all(ended), unsent}
