#!lua flags=no-writes
-- Reads which instances have their stream open at a node, and the number of each stream.
-- KEYS: one shard
-- ARGV: node
-- Replies:
--   {'ok', streams}  a list of {id, stream}
local node = ARGV[4]

local streams = {}
for _, id in ipairs(redis.call('SMEMBERS', key('attached', node))) do
    streams[#streams + 1] = {id, redis.call('HGET', key('instance', id), 'stream')}
end
return {'ok', streams}
