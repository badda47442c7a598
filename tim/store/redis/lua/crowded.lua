#!lua flags=no-writes
-- Finds accounts that have more live instances than a limit.
-- KEYS: one shard
-- ARGV: app, limit, after, many
--   `after` is a place in the list, or empty.
-- Replies:
--   {'ok', accounts, read}  a list of {user, number}, `many` at most; and the place up to which the list was read, empty
--                           where that is all of it
local app, limit, after, many, at_a_time = ARGV[4], tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]), 1000

local places = redis.call('ZRANGEBYLEX', key('listed', app), after == '' and '-' or '(' .. after, '+',
    'LIMIT', 0, at_a_time)
local found, n = {}, 1
while n <= #places do
    local user, first = places[n]:match('^(%S+)'), n
    while n <= #places and places[n]:match('^(%S+)') == user do n = n + 1 end
    -- The last account of a full reading may go on behind it: it is looked at the next time.
    if n > #places and #places == at_a_time and first > 1 then return {'ok', found, places[first - 1]} end
    local number = n - first > limit and #live(app, user) or 0
    if number > limit then found[#found + 1] = {user, number} end
    if #found == many and n <= #places then return {'ok', found, places[n - 1]} end
end
return {'ok', found, #places == at_a_time and places[at_a_time] or ''}
