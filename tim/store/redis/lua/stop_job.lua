#!lua flags=allow-oom
-- Stops the job of an app, if it runs.
-- KEYS: the first shard
-- ARGV: app, id, actor
-- Replies:
--   {'ok', job}    the newest job of the app
--   {'ok', false}  there is none
local app, id, actor = ARGV[4], ARGV[5], ARGV[6]

local at = key('job', app)
local known, state, summary = unpack(redis.call('HMGET', at, 'id', 'state', 'summary'))
if not known then return {'ok', false} end
if known == id and state == 'running' then
    redis.call('HSET', at, 'state', 'stopped', 'stopped_by', actor, 'closed_at', us(now))
    record(app, {kind = 'job', user = '', code = 'stopped', words = summary, actor = actor})
end
return {'ok', redis.call('HGETALL', at)}
