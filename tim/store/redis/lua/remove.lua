#!lua flags=allow-oom
local id, reason, stream, browser, address = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

local instance = find(id)
if instance and stream ~= '' and instance.stream ~= stream then return {'ok', false} end
local before = instance and fate(instance)
-- One that is away could come back, so it can still be ended for good.
if not instance or (before and before ~= 'away') then return {'ok', false} end
finish(instance, reason, now, browser, address)
changed(instance.app, instance.user)
return {'ok', flat(instance)}
