#!lua flags=allow-oom
-- Saves the settings of an app, unless others were saved meanwhile, and notifies every other node.
-- KEYS: the first shard
-- ARGV: app, call, version, words, fields...
--   `call` is the id of the call; a repeated call has the same. `version` is that of the settings on which these are
--   based, 0 where none were saved. `words` is what changes, for the audit. `fields` are names and values in turn.
-- Replies:
--   {'ok'}                 saved
--   {'changed', settings}  the saved ones have another version; `settings` is empty where there are none
local app, call, version, words = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]

local earlier = earlier_reply(call)
if earlier then return earlier end
local settings = key('settings', app)
if tonumber(redis.call('HGET', settings, 'version') or 0) ~= version then
    return {'changed', redis.call('HGETALL', settings)}
end
redis.call('HSET', settings, 'version', version + 1, 'saved_at', us(now), unpack(ARGV, 8))
record(app, {kind = 'settings', user = '', words = words, actor = redis.call('HGET', settings, 'saved_by')})
for _, node in ipairs(redis.call('ZRANGE', key('nodes'), 0, -1)) do
    if node ~= me then notify(node, 'settings-saved', {app = app}) end
end
return keep_reply(call, {'ok'})
