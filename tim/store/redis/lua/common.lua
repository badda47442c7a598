-- What every script begins with. KEYS[1] is the prefix of one shard, with its hash tag. All keys that a verb touches
-- lie in that shard, so a verb is one step on a single server and on a cluster alike; `append` alone is given another
-- one where one server has both. Times are whole microseconds of unix time, by the clock of the server.
--
-- Each script is given these before its own ARGV:
--   deadline  until when the caller waits for the reply
--   grace     how long a detached instance keeps its seat
--   me        the node that calls; hints of what it does itself are not sent to it. Behind a blank, the word `events`
--             where the app has a webhook: each login and each end queues an event
-- scripts.py defines the constants before this file: remembered, ends_kept, early_kept, exact, log_slack, minute, window,
-- pause, max_log, message_overhead, event_life, account_events, shard_events, sign_in_life, audited_kept,
-- minutes_kept, not_me_life.
--
-- Each script may reply, beside its own replies:
--   {'late', now}  the deadline is over, and nothing was done
local prefix = KEYS[1]
local deadline, grace = tonumber(ARGV[1]), tonumber(ARGV[2])
local me, has_webhook = ARGV[3]:match('^(%S*)(.*)$')
has_webhook = has_webhook ~= ''

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local now_in_words = string.format('%d%06d', time[1], time[2])

-- A whole number as text. That takes long for so large a one as a time, and most of these are now. '%d' would be wrong from
-- 2^63 on.
local function us(number) return number == now and now_in_words or string.format('%.0f', number) end

-- The caller has given up and reported a failure, so the verb must not be carried out any more.
if now > deadline then return {'late', us(now)} end

-- The key of this name in the shard, with one word more or two.
local function key(name, first, second)
    if second then return prefix .. ':' .. name .. ':' .. first .. ':' .. second end
    if first then return prefix .. ':' .. name .. ':' .. first end
    return prefix .. ':' .. name
end

-- The reply to an earlier attempt of the same call, where that reply was lost. It is for verbs that must not be carried
-- out twice, and is kept as long as a caller may try again.
local function earlier_reply(call)
    local reply = redis.call('GET', key('reply', call))
    return reply and cjson.decode(reply)
end
local function keep_reply(call, reply)
    redis.call('SET', key('reply', call), cjson.encode(reply), 'PX', 10000)
    return reply
end

-- Names and values in turn, as a table; and back.
local function of_flat(list)
    local fields = {}
    for n = 1, #list, 2 do fields[list[n]] = list[n + 1] end
    return fields
end
local function flat(fields)
    local list = {}
    for name, value in pairs(fields) do
        list[#list + 1] = name
        list[#list + 1] = value
    end
    return list
end

-- An instance in a reply: its fields in the order in which decode.instance_of takes them, `false` for one that is absent.
local function reply_of(instance)
    return {
        instance.id, instance.app, instance.user, instance.browser, instance.address, instance.since, instance.expires,
        instance.generation, instance.stream, instance.detached_at or false, instance.node or false,
        instance.reason or false, instance.at or false, instance.by_browser or false, instance.by_address or false,
        instance.words or false, instance.ordinal or false, instance.kind or false, instance.name or false,
        instance.vouched or false, instance.disowned or false, instance.lasts_until or false,
        instance.idle_life or false, instance.active_at or false,
    }
end
local function replies_of(instances)
    local replies = {}
    for n, instance in ipairs(instances) do replies[n] = reply_of(instance) end
    return replies
end

-- In record.lua.
local record, record_end, delete_entries

local function exists(app, user) return redis.call('HEXISTS', key('account', app, user), 'exists') == 1 end

-- All that is kept of an account, but for its lists and logs.
local function account_of(app, user) return of_flat(redis.call('HGETALL', key('account', app, user))) end

-- The block of an account that holds now; nil where there is none.
local function block_of(account)
    if not account.blocked_at or (tonumber(account.blocked_until) or math.huge) <= now then return nil end
    return {
        ['until'] = account.blocked_until, words = account.block_words, at = account.blocked_at, by = account.blocked_by,
    }
end

local function find(id)
    local fields = redis.call('HGETALL', key('instance', id))
    if #fields == 0 then return nil end
    local instance = of_flat(fields)
    instance.id = id
    return instance
end

-- Change fields of an instance; `false` removes one, where it is there.
local function set(instance, changes)
    local present, absent = {}, {}
    for name, value in pairs(changes) do
        if value then
            instance[name] = type(value) == 'number' and us(value) or value
            present[#present + 1] = name
            present[#present + 1] = instance[name]
        elseif instance[name] then
            instance[name] = nil
            absent[#absent + 1] = name
        end
    end
    local at = key('instance', instance.id)
    if #present > 0 then redis.call('HSET', at, unpack(present)) end
    if #absent > 0 then redis.call('HDEL', at, unpack(absent)) end
end

-- When a detached instance loses its seat; never while its stream is open.
local function away_at(instance) return instance.detached_at and instance.detached_at + grace or math.huge end

-- Instance.ends_at: when it ends as expired, if it does nothing until then; and Instance.expiry_cause, what ends it then.
local function ends_at(instance)
    local at, cause = tonumber(instance.expires), 'usersig'
    local lasts_until = tonumber(instance.lasts_until)
    if lasts_until and lasts_until < at then at, cause = lasts_until, 'life' end
    local idle_at = instance.idle_life and instance.active_at + instance.idle_life * 1000000
    if idle_at and idle_at < at then at, cause = idle_at, 'idle' end
    return at, cause
end

-- rules.ended: the reason for which an instance has ended by now, and when; nil while it is logged in.
local function ended(instance)
    if instance.reason then return instance.reason, tonumber(instance.at) end
    local expires, away = ends_at(instance), away_at(instance)
    if math.min(expires, away) > now then return nil end
    if expires <= away then return 'userSigExpired', expires end
    return 'away', away
end

-- Set when `sweep` has to look at an instance next.
local function schedule(instance)
    local due
    if instance.reason then
        due = instance.at + remembered + 1
    else
        local expires = ends_at(instance)
        due = math.min(expires, away_at(instance))
    end
    redis.call('ZADD', key('due'), us(due), instance.id)
end

-- Note that a live instance has just acted; nothing is written where it has no `idle_life`. When `sweep` looks at it
-- stays as it is: it is put off then.
local function note_action(instance)
    if instance.idle_life then set(instance, {active_at = now}) end
end

-- Send a hint to a node. It may be lost: the node learns the same by renewing.
local function notify(node, kind, hint)
    hint.kind = kind
    redis.call('SPUBLISH', key('node', node), cjson.encode(hint))
end

-- Send a hint to each node that has a stream of these instances open, except the caller.
local function notify_nodes(instances, kind, hint)
    local notified = {[me] = true}
    for _, instance in ipairs(instances) do
        if instance.node and not notified[instance.node] then
            notified[instance.node] = true
            notify(instance.node, kind, hint)
        end
    end
end

local function forget(app, user, id)
    redis.call('DEL', key('instance', id))
    redis.call('ZREM', key('away', app, user), id)
    redis.call('ZREM', key('ended', app, user), id)
    redis.call('ZREM', key('due'), id)
end

local queue_end -- events.lua

-- Put a live instance on the list of its app, or take it off; listing.lua searches it.
local function list(instance)
    local app, place = instance.app, instance.user .. ' ' .. instance.id
    redis.call('ZADD', key('listed', app), 0, place)
    redis.call('ZADD', key('addresses', app), 0, instance.address .. '\0' .. place)
    redis.call('ZADD', key('browsers', app), 0, instance.browser:lower() .. '\0' .. place)
    redis.call('ZADD', key('logins', app), instance.since, place)
end
local function unlist(instance)
    local app, place = instance.app, instance.user .. ' ' .. instance.id
    redis.call('ZREM', key('listed', app), place)
    redis.call('ZREM', key('addresses', app), instance.address .. '\0' .. place)
    redis.call('ZREM', key('browsers', app), instance.browser:lower() .. '\0' .. place)
    redis.call('ZREM', key('logins', app), place)
end

local function list_of_ends(instance)
    return key(instance.reason == 'away' and 'away' or 'ended', instance.app, instance.user)
end

-- Where more than `ends_kept` of an account have ended: forget one or two of the oldest; or `instance`, which has just
-- ended or whose notice has just been delivered, if it is beyond the first `ends_kept`. Those that can still say "that
-- wasn't me" are not pushed out by later ends, of which a thief can make many. One whose notice is pending stays until then.
local function forget_surplus(instance)
    local ends = list_of_ends(instance)
    local surplus = redis.call('ZCARD', ends) - ends_kept
    if surplus <= 0 then return end
    local over = instance.reason == 'away' and now or now - not_me_life
    local ids = redis.call('ZRANGEBYSCORE', ends, '-inf', us(over), 'LIMIT', 0, math.min(surplus, 2))
    if #ids == 0 and redis.call('ZREVRANK', ends, instance.id) < surplus then ids = {instance.id} end
    for _, id in ipairs(ids) do
        if redis.call('HEXISTS', key('instance', id), 'node') == 0 then forget(instance.app, instance.user, id) end
    end
end

-- Mark an instance as ended, write that into the audit and queue the notice for its node. Optional are `by`, the
-- instance or client that has ended it, `actor`, who did for others, and `words`, an operator's reason. Its account
-- stays among those with a live instance: `finish` looks at that.
local function finish_one(instance, reason, at, by, actor, words)
    local app, user, id, node = instance.app, instance.user, instance.id, instance.node
    local client, was_away = by or {}, instance.reason == 'away'
    queue_end(instance, reason, at)
    if not instance.reason then unlist(instance) end
    set(instance, {
        reason = reason, at = at, by_browser = client.browser or false, by_address = client.address or false,
        words = words or false,
    })
    record_end(instance, by, actor)
    redis.call('ZREM', key('live', app, user), id)
    schedule(instance)
    -- Two lists: an instance that is away may come back, so final ends must not push it out.
    if was_away then redis.call('ZREM', key('away', app, user), id) end
    redis.call('ZADD', list_of_ends(instance), us(at), id)
    if not node then
        forget_surplus(instance)
    else
        redis.call('SMOVE', key('attached', node), key('notices', node), id)
        if node ~= me then
            notify(node, 'ended', {app = app, user = user, instance = id, reason = reason, at = us(at),
                                   by_browser = client.browser, by_address = client.address, words = words})
        end
    end
end
local function finish(instance, ...)
    finish_one(instance, ...)
    local app, user = instance.app, instance.user
    if redis.call('EXISTS', key('live', app, user)) == 0 then redis.call('SREM', key('live_accounts', app), user) end
end

-- Note that the node of an ended instance has closed its stream.
local function deliver_notice(instance)
    redis.call('SREM', key('notices', instance.node), instance.id)
    set(instance, {node = false})
    schedule(instance)
    forget_surplus(instance)
end

-- End an instance for good; false where it had ended so before. One that is away could come back, so it can still be
-- ended. That it was away is written down first.
local function finish_for_good(instance, reason, by, actor, words)
    local before, at = ended(instance)
    if before and before ~= 'away' then return false end
    if before and not instance.reason then finish(instance, before, at) end
    finish(instance, reason, now, by, actor, words)
    return true
end

-- The live instances of an account, oldest generation first. With `write`, those whose end is not recorded yet are
-- marked as ended, as their seats are about to be taken. One that was read before, `known`, is not read again.
local function live(app, user, write, known)
    local found = {}
    for _, id in ipairs(redis.call('ZRANGE', key('live', app, user), 0, -1)) do
        local instance = known and known.id == id and known or find(id)
        local reason, at = ended(instance)
        if not reason then
            found[#found + 1] = instance
        elseif write then
            finish(instance, reason, at)
        end
    end
    return found
end

-- rules.leaving: sorts the live instances of an account, the detached first, then the oldest generation.
local function sort_as_leaving(seated)
    table.sort(seated, function(a, b)
        if (a.detached_at == nil) ~= (b.detached_at == nil) then return a.detached_at ~= nil end
        return tonumber(a.generation) < tonumber(b.generation)
    end)
end

-- Notify the nodes of an account that its list of instances has changed; returns the list. `instance` is one of it.
local function notify_changed(instance)
    local app, user = instance.app, instance.user
    local instances = live(app, user, false, instance)
    notify_nodes(instances, 'account-changed', {app = app, user = user})
    return instances
end

-- The live instances of an account, and those that are away and could come back. Ends that are due are written.
local function remaining(app, user)
    local instances = live(app, user, true)
    for _, id in ipairs(redis.call('ZRANGE', key('away', app, user), 0, -1)) do
        instances[#instances + 1] = find(id)
    end
    return instances
end

-- End the live instances of an account for `actor`, and those that are away; `words` is the reason.
local function end_all(app, user, actor, words)
    local instances = remaining(app, user)
    for _, instance in ipairs(instances) do finish(instance, 'REST_API_Kick', now, nil, actor, words) end
    return replies_of(instances)
end

-- Another instance of the same account, or itself; nil where the account has none with this id. An instance of another
-- account lies in another shard and is not found, or has another user.
local function peer(instance, id)
    if id == instance.id then return instance end
    local found = find(id)
    if found and found.app == instance.app and found.user == instance.user then return found end
end

-- The reply where instance `id` cannot act, as it has ended or is not known.
local function gone(instance, reason, at)
    instance.reason, instance.at = reason, us(at)
    return {'gone', reply_of(instance)}
end

-- The instance `id`, where it can act; else nil, and the reply that says why it cannot.
local function acting(id)
    local instance = find(id)
    if not instance then return nil, {'unknown', id, us(now)} end
    local reason, at = ended(instance)
    if reason then return nil, gone(instance, reason, at) end
    return instance
end
