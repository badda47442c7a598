#!lua
-- Writes an entry into the audit that belongs to no change here.
-- KEYS: the shard of the account
-- ARGV: app, call, fields...
--   `call` is the id of the call; a repeated call has the same. `fields` are names and values in turn.
-- Replies:
--   {'ok'}
local app, call = ARGV[4], ARGV[5]

local earlier = earlier_reply(call)
if earlier then return earlier end
record(app, of_flat({unpack(ARGV, 6)}))
return keep_reply(call, {'ok'})
