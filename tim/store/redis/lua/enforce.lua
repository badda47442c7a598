#!lua flags=allow-oom
-- Ends the instances of an account beyond a limit.
-- KEYS: the shard of the account
-- ARGV: app, user, limit, actor, call
--   `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', ended}  the instances that it ended
local app, user, limit, actor, call = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]

local earlier = earlier_reply(call)
if earlier then return earlier end
local seated = live(app, user, true)
sort_as_leaving(seated)
local surplus = {}
for n = 1, #seated - limit do
    finish(seated[n], 'multipleAccount', now, nil, actor)
    surplus[n] = seated[n]
end
if #surplus > 0 then notify_changed(surplus[1]) end
return keep_reply(call, {'ok', replies_of(surplus)})
