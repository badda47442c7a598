#!lua flags=allow-oom
-- Blocks an account, in place of a block before, and ends every instance of it.
-- KEYS: the shard of the account
-- ARGV: app, user, until, words, actor, shown, call
--   `until` is the end of the block, empty for none; `words` is the reason for the user, which may be empty; `actor` is
--   who blocks it. `shown` is when the block that is to be replaced was made, 0 for none, empty for whichever there is.
--   `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', ended}    the instances that it ended
--   {'other-block'}  the account has another block than `shown`
local app, user, ends, words, actor, shown, call = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]

local earlier = earlier_reply(call)
if earlier then return earlier end
local block = block_of(account_of(app, user))
if shown ~= '' and tonumber(shown) ~= (block and tonumber(block.at) or 0) then return {'other-block'} end
redis.call('HSET', key('account', app, user), 'blocked_until', ends, 'block_words', words, 'blocked_at', us(now),
    'blocked_by', actor)
record(app, {kind = 'blocked', user = user, words = words, actor = actor})
return keep_reply(call, {'ok', end_all(app, user, actor, words ~= '' and words or nil)})
