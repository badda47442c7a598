#!lua flags=no-writes
-- Reads what was counted in each minute.
-- KEYS: one shard
-- ARGV: app, since
-- Replies:
--   {'ok', minutes}  a list of {minute, counts}: unix seconds of its begin; names and numbers in turn
local app, since = ARGV[4], tonumber(ARGV[5])

local minutes = {}
local begin = math.floor(math.max(since, now - minutes_kept) / minute) * minute
for at = begin, now, minute do
    local counts = redis.call('HGETALL', key('minute', app, us(at / 1000000)))
    if #counts > 0 then minutes[#minutes + 1] = {us(at / 1000000), counts} end
end
return {'ok', minutes}
