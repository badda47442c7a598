#!lua flags=allow-oom
-- Revokes the UserSigs of an account that were made or used until now.
-- USES: usersigs
-- KEYS: the shard of the account
-- ARGV: app, user, actor, call
--   `actor` is who revokes them. `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', left}  microseconds until the next second, from which on new UserSigs are accepted
local app, user, actor, call = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local earlier = earlier_reply(call)
if earlier then return earlier end
record(app, {kind = 'revoked', user = user, actor = actor})
return keep_reply(call, {'ok', us(revoke_usersigs(app, user))})
