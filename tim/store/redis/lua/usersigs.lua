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
