#!lua
-- Writes a message of an instance into the log of its sender, and notes in the outbox that the receiver lacks its copy.
-- KEYS: the shard of the sender
-- ARGV: app, id, to, exists, text, message_id, most
--   `exists` is 1 where the receiver exists; its account may lie in another shard. `most` is how many messages the
--   instance may send in a minute.
-- Replies:
--   {'ok', seq, message, entry, pending}  the sender's copy, as it was written now or before; `pending` is 1 while the
--                                         outbox has the entry
--   {'gone', instance}  the instance has ended for good
--   {'unknown', id, at}  there is no such instance
--   {'not-ready'}                         its stream is not open
--   {'no-account', to}                    the receiver does not exist
--   {'too-many', left, most}              microseconds until it may send again
local app, id, to, receiver_exists, text, message_id = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local most = tonumber(ARGV[10])

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
    return {'ok', known, copy, entry, redis.call('ZSCORE', outbox, entry) and 1 or 0}
end
if receiver_exists == '0' then return {'no-account', to} end

-- When the instance sent its newest messages, the newest first.
local sent_at = key('rate', id)
local oldest = tonumber(redis.call('LINDEX', sent_at, most - 1) or 0)
-- A time in the future is from before the clock was set back.
if oldest > now - minute and oldest <= now then return {'too-many', us(oldest + minute - now), most} end
redis.call('LPUSH', sent_at, us(now))
redis.call('LTRIM', sent_at, 0, most - 1)
redis.call('PEXPIRE', sent_at, minute / 1000)

local seq, fields = write(app, user, message)
local entry = outbox_entry(app, user, seq)
note_action(instance)
if to ~= user then redis.call('ZADD', outbox, 'NX', now, entry) end
return {'ok', seq, fields, entry, 1}
