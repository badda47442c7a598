#!lua flags=no-writes
-- Reads what an operator is shown of an account.
-- KEYS: the shard of the account
-- ARGV: app, user
-- Replies:
--   {'ok', exists, revoked_before, block}  `exists` is 1 or 0; `block` is empty where the account is not blocked
local app, user = ARGV[4], ARGV[5]

local account = account_of(app, user)
local block = block_of(account)
return {'ok', account.exists and 1 or 0, account.revoked_before or '0', block and flat(block) or {}}
