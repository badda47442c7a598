#!lua
-- Writes a message of an instance into the log of its sender, and that of its receiver, or notes that the latter lacks it.
-- USES: log
-- KEYS: the shard of the sender, [the shard of the receiver]
-- ARGV: app, id, to, exists, text, message_id, most
--   Without the second shard, `exists` is 1 where the receiver exists, and the outbox notes that it lacks its copy. `most`
--   is how many messages the instance may send in a minute.
-- Replies:
--   {'ok', seq, message, entry, pending, received}  the sender's copy, as it was written now or before; `pending` is 1
--                         while the outbox has the entry; `received` is {seq, message}, the receiver's copy, or empty
--   {'gone', instance}  the instance has ended for good
--   {'unknown', id, at}  there is no such instance
--   {'not-ready'}                         its stream is not open
--   {'no-account', to}                    the receiver does not exist
--   {'too-many', left, most}              microseconds until it may send again
local app, id, to, receiver_exists, text, message_id = ARGV[4], ARGV[5], ARGV[6], ARGV[7] == '1', ARGV[8], ARGV[9]
local most, other = tonumber(ARGV[10]), KEYS[2]

local instance = find(id)
if not instance or instance.app ~= app then return {'unknown', id, us(now)} end
local reason, at = ended(instance)
if reason and reason ~= 'away' then return gone(instance, reason, at) end
if reason or not instance.node then return {'not-ready'} end

local user = instance.user
local message = {id = message_id, sender = user, to = to, text = text, time = us(now), instance = id}
local outbox = key('outbox')
local known, copy = copy_of(app, user, message, 0)
if known then
    note_action(instance)
    local entry = outbox_entry(app, user, known)
    local pending, received = redis.call('ZSCORE', outbox, entry), {}
    if other and to ~= user then
        -- It is pending where a node has written it in two steps.
        received = in_shard(other, second_copy, app, to, copy, pending and in_shard(other, exists, app, to))
        if pending then redis.call('ZREM', outbox, entry) end
    end
    return {'ok', known, copy, entry, pending and 1 or 0, received}
end
if other then receiver_exists = in_shard(other, exists, app, to) end
if not receiver_exists then return {'no-account', to} end

-- When the instance sent its newest messages, the newest first.
local sent_at = key('rate', id)
local oldest = tonumber(redis.call('LINDEX', sent_at, most - 1) or 0)
-- A time in the future is from before the clock was set back.
if oldest > now - minute and oldest <= now then return {'too-many', us(oldest + minute - now), most} end
if redis.call('LPUSH', sent_at, us(now)) > most then redis.call('LTRIM', sent_at, 0, most - 1) end
redis.call('PEXPIRE', sent_at, minute / 1000)

local seq, fields = write(app, user, message, instance)
local entry, received = outbox_entry(app, user, seq), {}
note_action(instance)
if to ~= user then
    if other then
        received = in_shard(other, second_copy, app, to, fields, true)
    else
        redis.call('ZADD', outbox, 'NX', us(now), entry)
    end
end
return {'ok', seq, fields, entry, 1, received}
