#!lua flags=allow-oom
-- Ends an instance for good.
-- KEYS: the shard of the account
-- ARGV: id, reason, stream, [browser, address]
--   With `stream`, which may be empty, only if that is its newest stream. `browser` and `address` are the client's that
--   ends it, where there is one.
-- Replies:
--   {'ok', instance}  ended
--   {'ok', false}     it had ended before, has a later stream, or is not known
local id, reason, stream, browser, address = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local instance = find(id)
if instance and stream ~= '' and instance.stream ~= stream then return {'ok', false} end
local before = instance and ended(instance)
-- An instance that is away could come back, so it can still be ended for good.
if not instance or (before and before ~= 'away') then return {'ok', false} end
if stream ~= '' then end_action = 'Disconnect' end -- its page was closed
finish(instance, reason, now, browser, address)
notify_changed(instance.app, instance.user)
return {'ok', flat(instance)}
