#!lua flags=no-writes
-- Counts live instances of an app.
-- USES: listing
-- KEYS: one shard
-- ARGV: app, user, address, browser, state, node, since, after
--   `after` is a place in the list, or empty. The others are the search.
-- Replies:
--   {'ok', number, read}  how many there are after `after`, up to the place `read`; up to the end where that is empty

-- Whether all that is online in this shard is of the app, so that none of it needs to be looked at: then the nodes have as
-- many streams as the app has live instances, without the detached ones, each of which is due within the grace time.
local function online_alone(app)
    local streams, online = 0, redis.call('ZCARD', key('listed', app))
    for _, node in ipairs(redis.call('ZRANGE', key('nodes'), 0, -1)) do
        streams = streams + redis.call('SCARD', key('attached', node))
    end
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('due'), '-inf', us(now + grace))) do
        local instance = find(id)
        if instance.app == app and instance.detached_at and not instance.reason then online = online - 1 end
    end
    return streams == online
end

local where = search_of(ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10])
local after, at_a_time = ARGV[11], 250

local first, last, total = range_of(where, after)
local smallest, read = smallest_of(where)
local by_index = {where.address ~= '', where.browser ~= '', where.since ~= '-inf'}
local given = where.user ~= '' and 1 or 0
for n = 1, 3 do given = given + (by_index[n] and 1 or 0) end
local number = given <= 1 and where.state == '' and where.node == '' and math.min(smallest, total)
if given == 0 and where.state == '' and where.node ~= '' then
    local at = key('attached', where.node)
    number = redis.call('SCARD', at)
    if number <= redis.call('ZCOUNT', key('due'), '-inf', us(now + grace)) or not online_alone(where.app) then
        number = 0
        for _, id in ipairs(redis.call('SMEMBERS', at)) do
            if redis.call('HGET', key('instance', id), 'app') == where.app then number = number + 1 end
        end
    end
end
if number then
    -- An index counts them, with the ones whose end no sweep has written down yet.
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('due'), '-inf', us(now))) do
        local instance = find(id)
        if not instance.reason and ended(instance) and matches(instance, where) then number = number - 1 end
    end
    return {'ok', number, ''}
end
if smallest <= at_a_time then return {'ok', #matching(read(), where), ''} end
local places = redis.call('ZRANGEBYLEX', key('listed', where.app), first, last, 'LIMIT', 0, at_a_time)
return {'ok', #matching(places, where), places[at_a_time] or ''}
