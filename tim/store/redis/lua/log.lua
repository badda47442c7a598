-- The logs of messages: each account has its own, numbered 1, 2, 3, … without gaps.

-- rules.distinct_id
local function distinct_id(message)
    local content = table.concat({message.sender, message.to, message.text}, '\0')
    return message.id .. '~' .. string.sub(redis.sha1hex(content), 1, 16)
end

-- The newest message in the account's log with this instance and id, its number, and its fields as they were written;
-- nil where there is none.
local function newest_of(app, user, instance, id)
    local seq = redis.call('HGET', key('ids', app, user), instance .. '/' .. id)
    local entry = seq and redis.call('XRANGE', key('log', app, user), seq, seq)[1]
    if entry then return of_flat(entry[2]), seq, entry[2] end
end

-- The number and the fields of the copy of `message` in the account's log, of the time `since` or later. A copy has the
-- same sender, receiver, text, instance and id. Where another message has its id, `message` gets one of its own.
local function copy_of(app, user, message, since)
    local function is_copy(found)
        return found and tonumber(found.time) >= since and found.sender == message.sender and found.to == message.to
            and found.text == message.text
    end
    local first, first_seq, first_fields = newest_of(app, user, message.instance, message.id)
    if is_copy(first) then return first_seq, first_fields end
    if not first then return nil end
    local id = distinct_id(message)
    local second, second_seq, second_fields = newest_of(app, user, message.instance, id)
    if is_copy(second) then return second_seq, second_fields end
    if tonumber(first.time) >= since then message.id = id end
    return nil
end

-- Add `message` to the account's log and notify the nodes of the account; returns its number and fields. Messages older
-- than `remembered` are removed, ten at a time, and the oldest until the log has at most `max_log` bytes. `sender` is the
-- instance that sends it, where it is one of the account.
local function write(app, user, message, sender)
    local account, log, ids = key('account', app, user), key('log', app, user), key('ids', app, user)
    local size, first, at_a_time = #message.text + message_overhead, 0, 1
    local bytes, seq, log_until = unpack(redis.call('HMGET', account, 'bytes', 'seq', 'log_until'))
    bytes, seq = tonumber(bytes or 0) + size, (seq or 0) + 1
    local function has_room()
        local oldest = redis.call('XRANGE', log, us(first), '+', 'COUNT', at_a_time)
        at_a_time = 10 -- the first one suffices where none has to go
        if #oldest == 0 then bytes = size end -- the log is empty, or has expired as a whole
        for _, entry in ipairs(oldest) do
            local old, seq = of_flat(entry[2]), string.match(entry[1], '^%d+')
            if tonumber(old.time) >= now - remembered and bytes <= max_log then return true end
            local name = old.instance .. '/' .. old.id
            if redis.call('HGET', ids, name) == seq then redis.call('HDEL', ids, name) end
            bytes = math.max(size, bytes - #old.text - message_overhead)
            first = seq + 1
        end
        return bytes <= max_log
    end
    repeat until has_room()
    if first > 0 then redis.call('XTRIM', log, 'MINID', us(first)) end

    local fields = flat(message)
    redis.call('XADD', log, us(seq) .. '-0', unpack(fields))
    redis.call('HSET', ids, message.instance .. '/' .. message.id, us(seq))
    local changes = {'seq', us(seq), 'bytes', us(bytes)}
    -- A log without a new message for so long has none that is still remembered. Put off once an hour, not by each message.
    local enough = now + remembered + 1000
    if tonumber(log_until or 0) < enough then
        local later = enough + log_slack
        redis.call('PEXPIREAT', log, us(later / 1000))
        redis.call('PEXPIREAT', ids, us(later / 1000))
        changes = {'log_until', us(later), unpack(changes)}
    end
    local instances, is_read = live(app, user, false, sender), user == message.sender
    for _, instance in ipairs(instances) do is_read = is_read or instance.node ~= nil end
    if is_read then changes = {'read_seq', us(seq), unpack(changes)} end
    redis.call('HSET', account, unpack(changes))
    message.app, message.user, message.seq = app, user, us(seq)
    notify_nodes(instances, 'written', message)
    return us(seq), fields
end

-- The copy in the account's log of a message whose other copy has these fields, as {seq, fields}; it is written where there
-- is none, with `may_write`. Empty where there is none then.
local function second_copy(app, user, fields, may_write)
    local message = of_flat(fields)
    local seq, found = copy_of(app, user, message, tonumber(message.time))
    if not seq and may_write then seq, found = write(app, user, message) end
    return seq and {seq, found} or {}
end

-- What a function returns with the keys of another shard of this server in place of those of this one.
local function in_shard(other, act, ...)
    local this = prefix
    prefix = other
    local result = act(...)
    prefix = this
    return result
end

-- The outbox has an entry for each message whose second copy is still to be written. It names the copy that is there,
-- in a log of this shard, as 'app:user:seq'. `deliver` writes the other copy, and the caller then removes the entry.
local function outbox_entry(app, user, seq) return table.concat({app, user, seq}, ':') end

-- The app, the account that still lacks its copy, and the fields of the copy that is there; nil where that is gone
-- or too old.
local function read_outbox(entry)
    local app, user, seq = string.match(entry, '^(%d+):(.+):(%d+)$')
    local copy = redis.call('XRANGE', key('log', app, user), seq, seq)[1]
    if not copy then return nil end
    local message = of_flat(copy[2])
    if tonumber(message.time) < now - remembered then return nil end
    return app, user == message.sender and message.to or message.sender, copy[2]
end
