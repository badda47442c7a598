#!lua flags=allow-oom
-- Revokes the UserSigs of an account that were made or used until now.
-- KEYS: the shard of the account
-- ARGV: app, user, actor
--   `actor` is who revokes them.
-- Replies:
--   {'ok', left}  microseconds until the next second, from which on new UserSigs are accepted
local app, user, actor = ARGV[4], ARGV[5], ARGV[6]

record(app, {kind = 'revoked', user = user, actor = actor})
return {'ok', us(revoke_usersigs(app, user))}
