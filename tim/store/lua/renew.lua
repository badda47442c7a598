#!lua flags=allow-oom
local node, lease, many = ARGV[5], tonumber(ARGV[6]), 100

local known = redis.call('ZSCORE', key('nodes'), node)
redis.call('ZADD', key('nodes'), now + lease, node)
local ended = {}
for _, id in ipairs(redis.call('SRANDMEMBER', key('owed', node), many)) do ended[#ended + 1] = find(id) end
return {'ok', known and 1 or 0, all(ended)}
