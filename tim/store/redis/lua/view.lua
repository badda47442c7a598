#!lua flags=no-writes
-- Reads what the tab of an instance shows; the instance is live or away.
-- USES: reading
-- KEYS: the shard of the account
-- ARGV: id, most
-- Replies:
--   {'ok', view}         see `view` in reading.lua
--   {'gone', instance}   the instance has ended for good
--   {'unknown', id, at}  there is no such instance
local id, most = ARGV[4], ARGV[5]

local instance = find(id)
if not instance then return {'unknown', id, us(now)} end
local reason, at = ended(instance)
if reason and reason ~= 'away' then return gone(instance, reason, at) end
if reason then instance.reason, instance.at = reason, us(at) end
return {'ok', view(instance, live(instance.app, instance.user, false, instance), 0, most)}
