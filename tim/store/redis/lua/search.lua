#!lua flags=no-writes
-- Finds live instances of an app, in the order of UserID, then id.
-- USES: listing
-- KEYS: one shard
-- ARGV: app, user, address, browser, state, node, since, many, after
--   `many` is how many the caller needs; `after` is a place in the list, or empty. The others are the search.
-- Replies:
--   {'ok', instances, read}  `read` is the place up to which the list was read; empty where that is all of it
local where = search_of(ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10])
local many, after, at_a_time = tonumber(ARGV[11]), ARGV[12], 250

local first, last, total = range_of(where, after)
local smallest, read = smallest_of(where)
local places, more = {}, false
if smallest * smallest <= many * total then
    -- Sorting these few takes less than walking along the list to the next matches.
    for _, member in ipairs(read()) do
        local place = member:match('([^%z ]+ [^%z ]+)$')
        if place > after then places[#places + 1] = place end
    end
    table.sort(places)
else
    places = redis.call('ZRANGEBYLEX', key('listed', where.app), first, last, 'LIMIT', 0, at_a_time)
    more = #places == at_a_time and places[at_a_time]
end
local found, up_to = matching(places, where, many)
return {'ok', replies_of(found), up_to or more or ''}
