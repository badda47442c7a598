#!lua
-- Saves the limits of an app, and notifies every other node.
-- KEYS: the first shard
-- ARGV: app, fields...
--   `fields` are names and values in turn.
-- Replies:
--   {'ok'}
local app = ARGV[4]

redis.call('HSET', key('limits', app), unpack(ARGV, 5))
for _, node in ipairs(redis.call('ZRANGE', key('nodes'), 0, -1)) do
    if node ~= me then notify(node, 'limits-saved', {app = app}) end
end
return {'ok'}
