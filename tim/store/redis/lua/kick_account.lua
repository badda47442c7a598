#!lua flags=allow-oom
-- Ends every instance of an account, and revokes its UserSigs that were made or used until now.
-- USES: usersigs
-- KEYS: the shard of the account
-- ARGV: app, user, actor, call
--   `actor` is who ends them; it may be empty. `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', left, ended}   microseconds until the next second, from which on new UserSigs are accepted; what it ended
--   {'no-account', user}  there is none
local app, user, actor, call = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local earlier = earlier_reply(call)
if earlier then return earlier end
if not exists(app, user) then return {'no-account', user} end
local left = revoke_usersigs(app, user)
record(app, {kind = 'revoked', user = user, actor = actor})
return keep_reply(call, {'ok', us(left), end_all(app, user, actor)})
