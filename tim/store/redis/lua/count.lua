#!lua
-- Adds to counters.
-- KEYS: one shard
-- ARGV: app, call, counts...
--   `call` is the id of the call; a repeated call has the same. `counts` are names and numbers in turn.
-- Replies:
--   {'ok'}
local app, call = ARGV[4], ARGV[5]

local earlier = earlier_reply(call)
if earlier then return earlier end
for name, number in pairs(of_flat({unpack(ARGV, 6)})) do add(app, name, number) end
return keep_reply(call, {'ok'})
