#!lua flags=allow-oom
local node, lease, joins, many = ARGV[5], tonumber(ARGV[6]), ARGV[7] == '1', 100

-- Whoever is forgotten stays so until he joins: the answer that says so may be lost.
if not joins and not redis.call('ZSCORE', key('nodes'), node) then return {'ok', 0, {}} end
redis.call('ZADD', key('nodes'), now + lease, node)
local ended = {}
for _, id in ipairs(redis.call('SRANDMEMBER', key('owed', node), many)) do ended[#ended + 1] = find(id) end
return {'ok', 1, all(ended)}
