#!lua flags=no-writes
-- Reads what an operator is shown of an account.
-- KEYS: the shard of the account
-- ARGV: app, user
-- Replies:
--   {'ok', exists, revoked_before, block}  `exists` is 1 or 0; `block` is empty where the account is not blocked
local app, user = ARGV[4], ARGV[5]

local account = key('account', app, user)
local block = block_of(account)
local revoked_before = redis.call('HGET', account, 'revoked_before') or '0'
return {'ok', exists(app, user) and 1 or 0, revoked_before, block and flat(block) or {}}
