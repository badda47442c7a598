-- What every script begins with. KEYS[1] is the prefix of one part of the store, with its hash tag: all that a
-- verb touches lies in that part, so that it is one step on a single server and on a cluster alike. Times are
-- whole microseconds of unix time, by the clock of the server.
local part = KEYS[1]
local deadline, grace, remembered, me = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
-- Ends of instances that are kept of one account: rules.ENDS_KEPT; and UserSigs: rules.EARLY_KEPT.
local ends_kept, early_kept = 500, 100
-- connection.NEVER
local never = 2 ^ 53 - 1

local function us(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- Whoever asked has given up and told his caller so: then this must not happen any more.
if now > deadline then return {'late', us(now)} end

local function key(...) return table.concat({part, ...}, ':') end

-- A verb that must not be carried out twice: what it has answered to this call before, as the answer was lost, and its
-- answer to be given again for as long as a caller may ask.
local function answered(call)
    local before = redis.call('GET', key('answered', call))
    return before and cjson.decode(before)
end
local function answer(call, reply)
    redis.call('SET', key('answered', call), cjson.encode(reply), 'PX', 10000)
    return reply
end

local function find(id)
    local flat = redis.call('HGETALL', key('instance', id))
    if #flat == 0 then return nil end
    local instance = {id = id}
    for n = 1, #flat, 2 do instance[flat[n]] = flat[n + 1] end
    return instance
end

-- A table as a reply carries it: names and values in turn.
local function flat(fields)
    local list = {}
    for name, value in pairs(fields) do
        list[#list + 1] = name
        list[#list + 1] = value
    end
    return list
end

local function all(instances)
    local list = {}
    for _, instance in ipairs(instances) do list[#list + 1] = flat(instance) end
    return list
end

-- Change fields of an instance; one that is set to false is no more.
local function set(instance, changes)
    local present, absent = {}, {}
    for name, value in pairs(changes) do
        if value then
            instance[name] = type(value) == 'number' and us(value) or value
            present[#present + 1] = name
            present[#present + 1] = instance[name]
        else
            instance[name] = nil
            absent[#absent + 1] = name
        end
    end
    local at = key('instance', instance.id)
    if #present > 0 then redis.call('HSET', at, unpack(present)) end
    if #absent > 0 then redis.call('HDEL', at, unpack(absent)) end
end

-- rules.ended: what has become of an instance by now, and when; nil while it is logged in.
local function fate(instance)
    if instance.reason then return instance.reason, tonumber(instance.at) end
    local expires = tonumber(instance.expires)
    local away_at = instance.detached and instance.detached + grace or math.huge
    if math.min(expires, away_at) > now then return nil end
    if expires <= away_at then return 'userSigExpired', expires end
    return 'away', away_at
end

-- The next time at which something happens to an instance though nobody does anything.
local function schedule(instance)
    local due
    if instance.reason then
        due = instance.at + remembered + 1
    else
        due = math.min(tonumber(instance.expires), instance.detached and instance.detached + grace or math.huge)
    end
    redis.call('ZADD', key('due'), due, instance.id)
end

-- Hints: a node that misses one learns the same by renewing.
local function tell(node, hint) redis.call('SPUBLISH', key('node', node), cjson.encode(hint)) end

local function forget(instance)
    redis.call('DEL', key('instance', instance.id))
    redis.call('SREM', key('away', instance.app, instance.user), instance.id)
    redis.call('ZREM', key('ended', instance.app, instance.user), instance.id)
    redis.call('ZREM', key('stayed', instance.app, instance.user), instance.id)
    redis.call('ZREM', key('due'), instance.id)
end

-- Write down what has become of an instance. Its node owes its stream the news.
local function finish(instance, reason, at, browser, address)
    local app, user, id, node = instance.app, instance.user, instance.id, instance.node
    set(instance, {reason = reason, at = at, by_browser = browser or false, by_address = address or false})
    redis.call('ZREM', key('live', app, user), id)
    redis.call(reason == 'away' and 'SADD' or 'SREM', key('away', app, user), id)
    schedule(instance)
    -- Those that are away may come back: what has ended for good does not push them out.
    local ended = key(reason == 'away' and 'stayed' or 'ended', app, user)
    if reason ~= 'away' then redis.call('ZREM', key('stayed', app, user), id) end
    redis.call('ZADD', ended, at, id)
    if redis.call('ZCARD', ended) > ends_kept then
        -- One whose stream has not been told yet stays until it was.
        for _, oldest in ipairs(redis.call('ZRANGE', ended, 0, -ends_kept - 1)) do
            local old = find(oldest)
            if not old.node then forget(old) end
        end
    end
    if node then
        redis.call('SMOVE', key('at', node), key('owed', node), id)
        tell(node, {app = app, user = user, instance = id, reason = reason, at = us(at),
                    by_browser = browser, by_address = address})
    end
end

-- The live instances of an account, oldest generation first; where `write`, those that have ended unnoticed are
-- written down, as somebody is about to take their seat.
local function live(app, user, write)
    local found = {}
    for _, id in ipairs(redis.call('ZRANGE', key('live', app, user), 0, -1)) do
        local instance = find(id)
        local reason, at = fate(instance)
        if not reason then
            found[#found + 1] = instance
        elseif write then
            finish(instance, reason, at)
        end
    end
    return found
end

-- Tell the nodes that have streams of these instances open, except the caller's: he knows.
local function tell_nodes(instances, hint)
    local told = {[me] = true}
    for _, instance in ipairs(instances) do
        if instance.node and not told[instance.node] then
            told[instance.node] = true
            tell(instance.node, hint)
        end
    end
end

-- The list of an account's instances is no longer what it was.
local function changed(app, user) tell_nodes(live(app, user), {app = app, user = user}) end

-- End all that lives of an account by an administrator's hand, and what is away and could come back.
local function end_all(app, user)
    local ended = live(app, user, true)
    for _, id in ipairs(redis.call('SMEMBERS', key('away', app, user))) do ended[#ended + 1] = find(id) end
    for _, instance in ipairs(ended) do finish(instance, 'REST_API_Kick', now) end
    return all(ended)
end

-- UserSigs in a list of 'made/expires': for each the second in which it was made, if that is `since` or later.
local function tickets(list, since)
    local found = {}
    for ticket, made in string.gmatch(list or '', '((%d+)/%d+)') do
        made = tonumber(made)
        if made >= (since or 0) then found[ticket] = made end
    end
    return found
end

-- Keep the newest of these UserSigs in a field of an account.
local function keep_tickets(account, field, found)
    local list = {}
    for ticket in pairs(found) do list[#list + 1] = ticket end
    table.sort(list, function(a, b) return found[a] == found[b] and a > b or found[a] > found[b] end)
    local text = table.concat(list, ' ', 1, math.min(#list, early_kept))
    if text == '' then redis.call('HDEL', account, field) else redis.call('HSET', account, field, text) end
end

local function exists(app, user) return redis.call('HEXISTS', key('account', app, user), 'exists') == 1 end

local function gone(instance, reason, at)
    return {'gone', reason, us(at), instance.by_browser or false, instance.by_address or false}
end
