#!lua flags=allow-oom
local id, stream = ARGV[5], ARGV[6]

local instance = find(id)
if not instance or not instance.node or instance.stream ~= stream then return {'ok', 0} end
if instance.reason then
    redis.call('SREM', key('owed', instance.node), id)
    set(instance, {node = false})
    schedule(instance)
    return {'ok', 0}
end
redis.call('SREM', key('at', instance.node), id)
set(instance, {node = false, detached = now})
schedule(instance)
changed(instance.app, instance.user)
return {'ok', 1}
