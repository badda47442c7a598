#!lua
local app, id, to, exists, text, message_id = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local max_log, overhead, most, minute = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])

local instance = find(id)
if not instance or instance.app ~= app then return gone({}, 'unknown', now) end
local reason, at = fate(instance)
if reason and reason ~= 'away' then return gone(instance, reason, at) end
if reason or not instance.node then return {'not-ready'} end

local user = instance.user
local message = {id = message_id, sender = user, to = to, text = text, time = us(now), instance = id}
local outbox = key('outbox')
local known, copy = copy_of(app, user, message, 0)
if known then
    local entry = table.concat({app, user, known}, ':')
    return {'ok', known, copy, entry, redis.call('ZSCORE', outbox, entry) and 1 or 0}
end
if exists == '0' then return {'no-account', to} end

-- The times of the newest messages of the instance, the newest first.
local times = key('minute', id)
local oldest = tonumber(redis.call('LINDEX', times, most - 1) or 0)
-- A time in the future is from before the clock was set back.
if oldest > now - minute and oldest <= now then return {'too-many', us(oldest + minute - now)} end
redis.call('LPUSH', times, us(now))
redis.call('LTRIM', times, 0, most - 1)
redis.call('PEXPIRE', times, minute / 1000)

local seq, fields = write(app, user, message, max_log, overhead)
local entry = table.concat({app, user, seq}, ':')
if to ~= user then redis.call('ZADD', outbox, 'NX', now, entry) end
return {'ok', seq, fields, entry, 1}
