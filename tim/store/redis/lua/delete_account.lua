#!lua flags=allow-oom
-- Ends every instance of an account, and forgets the account and its log.
-- KEYS: the shard of the account
-- ARGV: app, user, actor, call
--   `actor` is who deletes it; it may be empty. `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', ended}         the instances that it ended
--   {'no-account', user}  there is none
local app, user, actor, call = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local earlier = earlier_reply(call)
if earlier then return earlier end
if not exists(app, user) then return {'no-account', user} end
local instances = end_all(app, user, actor)
record(app, {kind = 'deleted', user = user, actor = actor})
-- The rest stays: revoked UserSigs stay revoked, and no generation is given twice.
redis.call('HDEL', key('account', app, user), 'exists', 'seq', 'read_seq', 'bytes', 'log_until',
    'early')
redis.call('DEL', key('log', app, user), key('ids', app, user))
return keep_reply(call, {'ok', instances})
