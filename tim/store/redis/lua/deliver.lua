#!lua
-- Writes a message into the log of one account, once, and notes in the outbox that its sender lacks a copy, if it does.
-- USES: log
-- KEYS: the shard of the account
-- ARGV: app, user, may_write, sender_lacks, fields...
--   `may_write` is 0 where the message is only looked up. `sender_lacks` is 1 where the sender is to get a copy too.
--   `fields` are the message's, names and values in turn; without `time` it is a new message.
-- Replies:
--   {'ok', seq, message, entry}  the copy in the log, as it was written now or before
--   {'ok', false}                there is none, and none may be written
--   {'no-account', user}         the account does not exist
local app, user, may_write, sender_lacks = ARGV[4], ARGV[5], ARGV[6] == '1', ARGV[7] == '1'

if not exists(app, user) then return {'no-account', user} end
local message = of_flat({unpack(ARGV, 8)})
-- With a time it is the copy of a message in another log: a copy here has the same time, or that of a later attempt.
local since = tonumber(message.time or now - minute)
message.time = message.time or us(now)
local seq, fields = copy_of(app, user, message, since)
if not seq then
    if not may_write then return {'ok', false} end
    seq, fields = write(app, user, message)
end
local entry = outbox_entry(app, user, seq)
if sender_lacks then redis.call('ZADD', key('outbox'), 'NX', now, entry) end
return {'ok', seq, fields, entry}
