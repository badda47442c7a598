#!lua flags=allow-oom
-- Leases the running job of an app to a node.
-- KEYS: the first shard
-- ARGV: app, node, lease
-- Replies:
--   {'ok', job}    the node has the lease
--   {'ok', false}  no job runs, or another node has it
local app, node, lease = ARGV[4], ARGV[5], tonumber(ARGV[6])

local at = key('job', app)
local state, holder, ends = unpack(redis.call('HMGET', at, 'state', 'node', 'lease_ends'))
if state ~= 'running' then return {'ok', false} end
-- A lease that ends too late dates from before the clock was set back.
local holds = ends and tonumber(ends) > now and tonumber(ends) <= now + lease
if holds and holder ~= node then return {'ok', false} end
redis.call('HSET', at, 'node', node, 'lease_ends', us(now + lease))
return {'ok', redis.call('HGETALL', at)}
