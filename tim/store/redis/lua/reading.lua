-- How the log of an account is read, and what a tab shows.

-- The newest entries of the account's log, at most `most`, numbered above `after` and at most `up_to`; newest first.
local function newest_entries(app, user, after, most, up_to)
    return redis.call('XREVRANGE', key('log', app, user), up_to, '(' .. after, 'COUNT', most) or {}
end

-- What a tab shows, as {instance, instances, newest, read_seq, since, entries}: its instance, or the place of it in the list
-- that follows; the live instances of its account; the numbers of the newest message and of the newest one that was read;
-- and the newest `most` entries of the log numbered above `after`, or above `read_seq` where that is lower. Entries with a
-- time before `since` are not remembered. `account` is what is kept of the account, where it was read before.
local function view(instance, instances, after, most, account)
    local app, user = instance.app, instance.user
    if not account then
        account = {}
        account.seq, account.read_seq = unpack(redis.call('HMGET', key('account', app, user), 'seq', 'read_seq'))
    end
    local newest, read_seq = account.seq or '0', account.read_seq or '0'
    local first, entries = math.min(tonumber(after), tonumber(read_seq)), {}
    if tonumber(most) > 0 and tonumber(newest) > first then
        entries = newest_entries(app, user, us(first), most, newest)
    end
    local place
    for n, each in ipairs(instances) do
        if each == instance then place = n end
    end
    return {place or reply_of(instance), replies_of(instances), newest, read_seq, us(now - remembered), entries}
end
