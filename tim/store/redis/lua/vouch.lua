#!lua
-- Notes that an instance that is logged in says "it was me" of another login of its account.
-- KEYS: the shard of the account
-- ARGV: id, other
-- Replies:
--   {'ok', instance}  the other one
--   {'ok', false}     the other one has ended
--   {'gone', instance}  instance `id` has ended
--   {'unknown', id, at}  there is no such instance
--   {'no-instance'}   the account has no instance `other`
local id, other = ARGV[4], ARGV[5]

local instance, refusal = acting(id)
if refusal then return refusal end
local target = peer(instance, other)
if not target then return {'no-instance'} end
note_action(instance)
if ended(target) then return {'ok', false} end
-- Where an older version has admitted it, the generation is the ordinal.
local ordinal = instance.ordinal or instance.generation
set(target, {vouched = math.min(ordinal, target.vouched or ordinal)})
notify_changed(instance)
return {'ok', reply_of(target)}
