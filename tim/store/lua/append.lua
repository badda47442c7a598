#!lua
local app, id, to, exists, text, message_id = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]

local instance = find(id)
if not instance or instance.app ~= app then return gone({}, 'unknown', now) end
local reason, at = fate(instance)
if reason and reason ~= 'away' then return gone(instance, reason, at) end
if reason or not instance.node then return {'not-ready'} end
if exists == '0' then return {'no-account', to} end

local user = instance.user
local seq, fields = write(app, user, {
    id = message_id, sender = user, to = to, text = text, time = us(now), instance = id,
})
local entry = table.concat({app, user, seq}, ':')
if to ~= user then redis.call('ZADD', key('outbox'), 'NX', now, entry) end
return {'ok', seq, fields, entry}
