-- The logs of messages: each account has its own, numbered 1, 2, 3, … without gaps.

-- The copy of `message` in the account's log, written there once.
local function write(app, user, message)
    local account, log, sent = key('account', app, user), key('log', app, user), key('sent', app, user)
    local name = message.instance .. '/' .. message.id
    local known = redis.call('HGET', sent, name)
    if known then return known, redis.call('XRANGE', log, known, known)[1][2] end

    local first = 0
    for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', 10)) do
        local old = {}
        for n = 1, #entry[2], 2 do old[entry[2][n]] = entry[2][n + 1] end
        if tonumber(old.time) >= now - remembered then break end
        redis.call('HDEL', sent, old.instance .. '/' .. old.id)
        first = string.match(entry[1], '^%d+') + 1
    end
    if first > 0 then redis.call('XTRIM', log, 'MINID', us(first)) end

    local seq = redis.call('HINCRBY', account, 'seq', 1)
    local fields = flat(message)
    redis.call('XADD', log, us(seq) .. '-0', unpack(fields))
    redis.call('HSET', sent, name, seq)
    -- What is not written to for so long has nothing that is still remembered.
    redis.call('PEXPIRE', log, remembered / 1000 + 1)
    redis.call('PEXPIRE', sent, remembered / 1000 + 1)

    local seated, shown = live(app, user), user == message.sender
    for _, instance in ipairs(seated) do shown = shown or instance.node ~= nil end
    if shown then redis.call('HSET', account, 'shown', seq) end
    message.app, message.user, message.seq = app, user, us(seq)
    tell_nodes(seated, message)
    return us(seq), fields
end
