#!lua flags=allow-oom
local id, other = ARGV[5], ARGV[6]

local instance = find(id)
if not instance then return gone({}, 'unknown', now) end
local reason, at = fate(instance)
if reason then return gone(instance, reason, at) end
-- Of another account it lies in another part, and is not found, or it says so.
local target = find(other)
if not target or target.app ~= instance.app or target.user ~= instance.user then return {'no-instance'} end
local before = fate(target)
if before and before ~= 'away' then return {'ok', false} end
finish(target, 'loggedOut', now, instance.browser, instance.address)
changed(instance.app, instance.user)
return {'ok', flat(target)}
