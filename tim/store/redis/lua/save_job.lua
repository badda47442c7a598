#!lua flags=allow-oom
-- Saves how far a job is, and extends the lease of its node.
-- KEYS: the first shard
-- ARGV: app, id, node, lease, ended, after, state
--   `ended` is the number of instances; `after` is a place in the list; `state` is 'running' or 'finished'.
-- Replies:
--   {'ok', job}    saved
--   {'ok', false}  the job does not run any more, or another node has it
local app, id, node, lease = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local number, after, state = ARGV[8], ARGV[9], ARGV[10]

local at = key('job', app)
local known, before, holder, actor, summary = unpack(redis.call('HMGET', at, 'id', 'state', 'node', 'actor', 'summary'))
if known ~= id or before ~= 'running' or holder ~= node then return {'ok', false} end
redis.call('HSET', at, 'lease_ends', us(now + lease), 'ended', number, 'after', after, 'state', state)
if state == 'finished' then
    redis.call('HSET', at, 'closed_at', us(now))
    record(app, {kind = 'job', user = '', code = state, words = summary, actor = actor})
end
return {'ok', redis.call('HGETALL', at)}
