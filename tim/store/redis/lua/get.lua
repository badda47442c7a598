#!lua flags=no-writes
-- Reads an instance, ended or not.
-- KEYS: the shard of the account
-- ARGV: id
-- Replies:
--   {'ok', now, instance}  an empty `instance` where there is none
local instance = find(ARGV[4])
if not instance then return {'ok', us(now), {}} end
local reason, at = ended(instance)
if reason then
    instance.reason = reason
    instance.at = us(at)
end
return {'ok', us(now), reply_of(instance)}
