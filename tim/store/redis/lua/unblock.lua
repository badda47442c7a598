#!lua flags=allow-oom
-- Ends the block of an account.
-- KEYS: the shard of the account
-- ARGV: app, user, actor, shown, call
--   `actor` is who unblocks it. `shown` is when the block that is to end was made, empty for whichever there is. `call` is
--   the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', 1}        unblocked
--   {'ok', 0}        it was not blocked
--   {'other-block'}  the account has another block than `shown`
local app, user, actor, shown, call = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local earlier = earlier_reply(call)
if earlier then return earlier end
local block = block_of(account_of(app, user))
if block and shown ~= '' and tonumber(shown) ~= tonumber(block.at) then return {'other-block'} end
redis.call('HDEL', key('account', app, user), 'blocked_until', 'block_words', 'blocked_at', 'blocked_by')
if not block then return keep_reply(call, {'ok', 0}) end
record(app, {kind = 'unblocked', user = user, actor = actor})
return keep_reply(call, {'ok', 1})
