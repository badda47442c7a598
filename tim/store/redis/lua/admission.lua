-- How a newcomer gets in.

-- rules.making_room: those of the live instances, oldest generation first, that leave; nil where the newcomer does not fit.
-- With a choice, `seen` has the ids from which it was made, oldest generation first, and `ending` the chosen ones,
-- separated by blanks.
local function making_room(seated, limit, policy, seen, ending)
    local leave, ids, chosen = {}, {}, {}
    if policy == 'evict' then
        local order = {unpack(seated)}
        sort_as_leaving(order)
        for n = 1, #order + 1 - limit do leave[n] = order[n] end
        return leave
    end
    assert(policy == 'reject' or policy == 'ask', 'no policy')
    for n, instance in ipairs(seated) do ids[n] = instance.id end
    if policy == 'ask' and seen == table.concat(ids, ' ') then
        for chosen_id in string.gmatch(ending, '%S+') do chosen[chosen_id] = true end
    end
    for _, instance in ipairs(seated) do
        if chosen[instance.id] then leave[#leave + 1] = instance end
    end
    return #seated - #leave < limit and leave or nil
end

-- Makes room for a newcomer and admits it, or tells why not. `instance` has what its login says: id, app, user, browser,
-- address, expires and kind; it gets the other fields. `made` is the date of the UserSig in unix seconds, or `exact` if it
-- is not known. `life` is how long the instance lasts at most, and `idle_life` the same in seconds without an action; 0
-- for any time. With `node`, its first stream is open there at once. `seen` and `ending` are for making_room.
-- Returns the refusal, as a reply; or nil, the evicted instances, the live ones, and what was kept of the account before.
local function admit(instance, limit, made, life, idle_life, policy, node, seen, ending)
    local id, app, user = instance.id, instance.app, instance.user
    local at, account = key('account', app, user), account_of(app, user)
    local usersig = made .. '/' .. instance.expires
    made = tonumber(made)
    if made < tonumber(account.revoked_before or 0) or usersigs(account.revoked)[usersig] then return {'revoked'} end
    local block = block_of(account)
    if block then return {'blocked', flat(block)} end

    local seated = live(app, user, true)
    local evicted = making_room(seated, limit, policy, seen, ending)
    if not evicted then return {'at-limit', limit, replies_of(seated)} end
    end_action = 'none' -- the event of the login counts them
    for _, each in ipairs(evicted) do finish_one(each, 'multipleAccount', now, instance) end

    if not account.exists then redis.call('HSET', at, 'exists', 1) end
    -- Dated ahead, so its date may lie after the next kick: remember it, so that the kick revokes it as well.
    if made * 1000000 > now and made < exact then
        local used = usersigs(account.early, now / 1000000)
        used[usersig] = made
        keep_usersigs(at, 'early', used)
    end
    local generation = redis.call('HINCRBY', at, 'generation', 1)
    set(instance, {
        app = app, user = user, browser = instance.browser, address = instance.address, expires = instance.expires,
        kind = instance.kind ~= 'tab' and instance.kind or false, since = now, active_at = now,
        generation = generation, ordinal = generation,
        stream = node and 1 or 0, node = node or false, detached_at = not node and now,
        lasts_until = life > 0 and now + life, idle_life = idle_life ~= '0' and idle_life,
    })
    redis.call('ZADD', key('live', app, user), instance.generation, id)
    if #seated == 0 then redis.call('SADD', key('live_accounts', app), user) end
    list(instance)
    if node then redis.call('SADD', key('attached', node), id) end
    record(app, {kind = 'login', user = user, instance = id, browser = instance.browser, address = instance.address})
    schedule(instance)
    queue_event(instance, 'Login', now, #evicted)

    local instances = {}
    for _, each in ipairs(seated) do
        if not each.reason then instances[#instances + 1] = each end
    end
    notify_nodes(instances, 'account-changed', {app = app, user = user})
    instances[#instances + 1] = instance
    return nil, evicted, instances, account
end
