#!lua flags=allow-oom
-- Ends the block of an account.
-- KEYS: the shard of the account
-- ARGV: app, user, actor, call
--   `actor` is who unblocks it. `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', 1}  unblocked
--   {'ok', 0}  it was not blocked
local app, user, actor, call = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local earlier = earlier_reply(call)
if earlier then return earlier end
local block = block_of(account_of(app, user))
redis.call('HDEL', key('account', app, user), 'blocked_until', 'block_words', 'blocked_at', 'blocked_by')
if not block then return keep_reply(call, {'ok', 0}) end
record(app, {kind = 'unblocked', user = user, actor = actor})
return keep_reply(call, {'ok', 1})
