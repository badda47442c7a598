#!lua flags=allow-oom
-- Ends another instance of the same account, on behalf of an instance that is logged in.
-- KEYS: the shard of the account
-- ARGV: id, other
-- Replies:
--   {'ok', instance}  the other one, ended
--   {'ok', false}     the other one had ended before
--   {'gone', instance}  instance `id` has ended
--   {'unknown', id, at}  there is no such instance
--   {'no-instance'}   the account has no instance `other`
local id, other = ARGV[4], ARGV[5]

local instance, refusal = acting(id)
if refusal then return refusal end
local target = peer(instance, other)
if not target then return {'no-instance'} end
note_action(instance)
if not finish_for_good(target, 'loggedOut', instance) then return {'ok', false} end
notify_changed(instance)
return {'ok', reply_of(target)}
