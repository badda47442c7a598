-- UserSigs that were used before the second in which they say they were made. An account keeps them as a list of
-- 'made/expires', separated by spaces: in `early` those that a kick has to revoke one by one, in `revoked` those that
-- one has revoked.

-- For each UserSig of the list the second in which it was made, if that is `since` or later.
local function usersigs(list, since)
    local found = {}
    for usersig, made in string.gmatch(list or '', '((%d+)/%d+)') do
        made = tonumber(made)
        if made >= (since or 0) then found[usersig] = made end
    end
    return found
end

-- Keep the newest `early_kept` of these UserSigs in a field of an account.
local function keep_usersigs(account, field, found)
    local list = {}
    for usersig in pairs(found) do list[#list + 1] = usersig end
    table.sort(list, function(a, b) return found[a] == found[b] and a > b or found[a] > found[b] end)
    local text = table.concat(list, ' ', 1, math.min(#list, early_kept))
    if text == '' then redis.call('HDEL', account, field) else redis.call('HSET', account, field, text) end
end

-- Revoke the UserSigs of an account that were made or used until now. Returns the microseconds until the next second,
-- as a UserSig is dated in whole seconds.
local function revoke_usersigs(app, user)
    local account, next_second = key('account', app, user), math.floor(now / 1000000) + 1
    local revoked_before, revoked, early = unpack(redis.call('HMGET', account, 'revoked_before', 'revoked', 'early'))
    revoked_before = math.max(next_second, tonumber(revoked_before or 0))
    redis.call('HSET', account, 'revoked_before', us(revoked_before))
    if revoked or early then
        -- UserSigs that were used and are dated later than this.
        local later = usersigs(revoked, revoked_before)
        for usersig, made in pairs(usersigs(early, revoked_before)) do later[usersig] = made end
        keep_usersigs(account, 'revoked', later)
        redis.call('HDEL', account, 'early')
    end
    return next_second * 1000000 - now
end
