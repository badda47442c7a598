#!lua flags=allow-oom
-- Starts a job of an app, unless one runs.
-- KEYS: the first shard
-- ARGV: app, id, fields...
--   `fields` are names and values in turn.
-- Replies:
--   {'ok', job}  the job that runs: this one, or the one that has run before
local app, id = ARGV[4], ARGV[5]

local at = key('job', app)
local known, state = unpack(redis.call('HMGET', at, 'id', 'state'))
if known ~= id and state ~= 'running' then
    redis.call('DEL', at)
    redis.call('HSET', at, 'id', id, 'state', 'running', 'started_at', us(now), 'ended', 0, 'after', '',
        unpack(ARGV, 6))
    local actor, summary = unpack(redis.call('HMGET', at, 'actor', 'summary'))
    record(app, {kind = 'job', user = '', code = 'started', words = summary, actor = actor})
end
return {'ok', redis.call('HGETALL', at)}
