#!lua flags=allow-oom
-- Ends every instance of an account, and revokes its UserSigs that were made or used until now.
-- KEYS: the shard of the account
-- ARGV: app, user, actor
--   `actor` is who ends them; it may be empty.
-- Replies:
--   {'ok', left, ended}   microseconds until the next second, from which on new UserSigs are accepted; what it ended
--   {'no-account', user}  there is none
local app, user, actor = ARGV[4], ARGV[5], ARGV[6]

if not exists(app, user) then return {'no-account', user} end
local left = revoke_usersigs(app, user)
record(app, {kind = 'revoked', user = user, actor = actor})
return {'ok', us(left), end_all(app, user, actor)}
