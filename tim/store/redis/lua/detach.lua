#!lua flags=allow-oom
-- Closes a stream of an instance; an older stream than the newest changes nothing.
-- KEYS: the shard of the account
-- ARGV: id, stream
-- Replies:
--   {'ok', 1}  detached
--   {'ok', 0}  not detached: the stream is not the newest, or the instance has ended, and its notice is delivered now
local id, stream = ARGV[4], ARGV[5]

local instance = find(id)
if not instance or not instance.node or instance.stream ~= stream then return {'ok', 0} end
if instance.reason then
    deliver_notice(instance)
    return {'ok', 0}
end
redis.call('SREM', key('attached', instance.node), id)
set(instance, {node = false, detached_at = now})
schedule(instance)
notify_changed(instance)
return {'ok', 1}
