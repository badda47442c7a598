#!lua flags=allow-oom
-- Detaches streams of dead nodes, ends and forgets what is due, deletes old entries, returns what the outbox has left.
-- USES: log
-- KEYS: one shard
-- ARGV: lease, patience, age, entries, refusals
--   `patience` is how old an entry of the outbox has to be; `age`, how old one of the audit may be, and `entries` and
--   `refusals`, how many there may be.
-- Replies:
--   {'ok', more, ended, unfinished}  `more` is 1 where instances or entries may be left that are due; `unfinished` is a list of
--                                    {entry, app, user, message}: the account `user` lacks a copy of `message`, or
--                                    {entry} where nothing is to be done any more
local lease, patience, many = tonumber(ARGV[4]), tonumber(ARGV[5]), 100
-- Instances that one call ends or forgets: the calls for all shards come together, and nobody else is served meanwhile.
local few = 10
local age, entries, refusals = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
-- The caller needs the hints as well: the reply names the ended instances, not the detached ones.
me = ''

-- A node is dead if it alone was silent. If no node has swept for long, this server was away.
local silence = now - (redis.call('GET', key('swept')) or now)
redis.call('SET', key('swept'), us(now))
if silence < 0 then
    -- The clock was set back: leases and the outbox must not wait so much longer.
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
        for _, id in ipairs(redis.call('SMEMBERS', key('attached', node))) do
            local instance = find(id)
            set(instance, {node = false, detached_at = now})
            schedule(instance)
            notify_changed(instance)
        end
        for _, id in ipairs(redis.call('SMEMBERS', key('notices', node))) do
            deliver_notice(find(id))
        end
        redis.call('DEL', key('attached', node))
        redis.call('ZREM', key('nodes'), node)
    end
end

local finished = {}
local due = redis.call('ZRANGEBYSCORE', key('due'), '-inf', us(now), 'LIMIT', 0, few)
for _, id in ipairs(due) do
    local instance = find(id)
    local reason, at = ended(instance)
    if not reason then
        schedule(instance) -- it has acted since, or another node has a shorter grace time
    elseif not instance.reason then
        finish(instance, reason, at)
        notify_changed(instance)
        finished[#finished + 1] = instance
    elseif instance.node then
        redis.call('ZADD', key('due'), now + lease, id) -- its notice is still pending
    else
        forget(instance.app, instance.user, instance.id)
    end
end

local unfinished = {}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', key('outbox'), '-inf', us(now - patience), 'LIMIT', 0, many)) do
    unfinished[#unfinished + 1] = {entry, read_outbox(entry)}
end
local more = delete_entries(age, entries, refusals, many) or #due == few
return {'ok', more and 1 or 0, replies_of(finished), unfinished}
