#!lua flags=no-writes
-- Counts the instances that are online, by node.
-- KEYS: one shard
-- ARGV: none
-- Replies:
--   {'ok', counts}  a list of {node, number}
local counts = {}
for n, node in ipairs(redis.call('ZRANGE', key('nodes'), 0, -1)) do
    counts[n] = {node, redis.call('SCARD', key('attached', node))}
end
return {'ok', counts}
