#!lua flags=allow-oom
-- Ends all other instances of the account, on behalf of an instance that is logged in.
-- KEYS: the shard of the account
-- ARGV: id, call
--   `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', ended}     what it ended
--   {'gone', instance}  instance `id` has ended
--   {'unknown', id, at}  there is no such instance
local id, call = ARGV[4], ARGV[5]

local earlier = earlier_reply(call)
if earlier then return earlier end
local instance, refusal = acting(id)
if refusal then return refusal end
note_action(instance)
local others = {}
for _, other in ipairs(remaining(instance.app, instance.user)) do
    if other.id ~= id then
        finish(other, 'loggedOut', now, instance)
        others[#others + 1] = other
    end
end
notify_changed(instance)
return keep_reply(call, {'ok', replies_of(others)})
