#!lua
-- Gives an instance that is logged in a name.
-- KEYS: the shard of the account
-- ARGV: id, name, call
--   `name` may be empty, which takes it away. `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', instance}  renamed
--   {'gone', instance}  it has ended
--   {'unknown', id, at}  there is no such instance
local id, name, call = ARGV[4], ARGV[5], ARGV[6]

local earlier = earlier_reply(call)
if earlier then return earlier end
local instance, refusal = acting(id)
if refusal then return refusal end
set(instance, {name = name ~= '' and name, active_at = instance.idle_life and now or nil})
notify_changed(instance)
return keep_reply(call, {'ok', reply_of(instance)})
