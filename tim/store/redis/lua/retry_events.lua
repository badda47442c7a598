#!lua flags=allow-oom
-- Ends the pauses of all accounts whose events wait for another attempt.
-- KEYS: one shard
-- ARGV: app
-- Replies:
--   {'ok'}
local accounts = key('event_accounts', ARGV[4])
redis.call('ZUNIONSTORE', accounts, 1, accounts, 'WEIGHTS', 0)
if redis.call('EXISTS', accounts) == 1 then redis.call('PEXPIRE', accounts, 2 * event_life / 1000) end
return {'ok'}
