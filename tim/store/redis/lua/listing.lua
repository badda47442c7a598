-- The list of live instances of an app: how it is searched. In each index, a member ends with the place of an instance
-- in the list, `user id`. No character of a UserID is smaller than the space, so Redis orders places as search.py does.

-- search.matches: whether an instance, live or not, is one that the search is about.
local function matches(instance, where)
    return instance.app == where.app and instance.user:sub(1, #where.user) == where.user
        and (where.address == '' or where.address == instance.address)
        and instance.browser:lower():sub(1, #where.browser) == where.browser
        and (where.state == '' or (where.state == 'online') == (instance.detached_at == nil))
        and (where.node == '' or where.node == instance.node)
        and (where.since == '-inf' or tonumber(instance.since) >= tonumber(where.since))
end

local function search_of(app, user, address, browser, state, node, since)
    return {app = app, user = user, address = address, browser = browser:lower(), state = state, node = node,
            since = since}
end

-- The range of `listed` that a search is about, after a place; and how many lie in it.
local function range_of(where, after)
    local first = where.user == '' and '-' or '[' .. where.user
    if after ~= '' and after >= where.user then first = '(' .. after end
    local last = where.user == '' and '+' or '(' .. where.user .. '\255'
    return first, last, redis.call('ZLEXCOUNT', key('listed', where.app), first, last)
end

-- The filter of a search, other than `user`, that the fewest instances of the shard pass: how many these are, and a
-- function that returns their places, which members of its index end with. math.huge where there is no such filter.
local function smallest_of(where)
    local smallest, read = math.huge, nil
    local function consider(number, places)
        if number < smallest then smallest, read = number, places end
    end
    local function lex(name, first, last)
        local at = key(name, where.app)
        consider(redis.call('ZLEXCOUNT', at, first, last),
                 function() return redis.call('ZRANGEBYLEX', at, first, last) end)
    end
    local function places_of(ids)
        local places = {}
        for _, id in ipairs(ids) do
            local user = redis.call('HGET', key('instance', id), 'user')
            if user then places[#places + 1] = user .. ' ' .. id end
        end
        return places
    end
    if where.address ~= '' then lex('addresses', '[' .. where.address .. '\0', '(' .. where.address .. '\1') end
    if where.browser ~= '' then lex('browsers', '[' .. where.browser, '(' .. where.browser .. '\255') end
    if where.since ~= '-inf' then
        local at = key('logins', where.app)
        consider(redis.call('ZCOUNT', at, where.since, '+inf'),
                 function() return redis.call('ZRANGEBYSCORE', at, where.since, '+inf') end)
    end
    if where.node ~= '' then
        local at = key('attached', where.node)
        consider(redis.call('SCARD', at), function() return places_of(redis.call('SMEMBERS', at)) end)
    end
    if where.state == 'detached' then
        -- Each of them is due within the grace time; so are a few others.
        consider(redis.call('ZCOUNT', key('due'), '-inf', us(now + grace)), function()
            return places_of(redis.call('ZRANGEBYSCORE', key('due'), '-inf', us(now + grace)))
        end)
    end
    return smallest, read
end

-- The live instances at these places that match, `many` at most, and the place up to which they were read.
local function matching(places, where, many)
    local found = {}
    for n, place in ipairs(places) do
        local instance = find(place:match(' (%S+)$'))
        if instance and not ended(instance) and matches(instance, where) then found[#found + 1] = instance end
        if #found == many then return found, n < #places and place end
    end
    return found
end
