#!lua flags=allow-oom
-- Renews the lease of a node, and returns instances whose end it has not been notified of.
-- KEYS: one shard
-- ARGV: node, lease, joins, delivered...
--   `joins` is 1 where the node joins. `delivered` are ids of ended instances of which it needs no notice any more.
-- Replies:
--   {'ok', ended}  some of those whose notice is pending, 100 at most
--   {'forgotten'}  it has not joined, or was held to be dead; so until it joins, as this reply may be lost
local node, lease, joins, many = ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1', 100

if not joins and not redis.call('ZSCORE', key('nodes'), node) then return {'forgotten'} end
redis.call('ZADD', key('nodes'), us(now + lease), node)
for n = 7, #ARGV do
    local instance = find(ARGV[n])
    if instance and instance.reason and instance.node == node then deliver_notice(instance) end
end
local pending = {}
for _, id in ipairs(redis.call('SRANDMEMBER', key('notices', node), many)) do pending[#pending + 1] = find(id) end
return {'ok', replies_of(pending)}
