#!lua flags=no-writes
-- Searches the audit of a shard, newest entries first.
-- KEYS: one shard
-- ARGV: app, user, kinds, address, before, since, limit, scan
--   Entries of the app, of `user`, of one of `kinds` separated by blanks, from `address`, where these are not empty; with
--   ids below `before` and from `since` on, where these are not empty. `limit` is how many are enough of one stream, and
--   `scan` at how many to look.
-- Replies:
--   {'ok', found, reached, refusals, reached_refusals}  lists of {id, fields}; the id of the oldest entry that was looked
--                                                       at, or '' where no older one is left
local app, user, kinds, address, before, since = ARGV[4], ARGV[5], ' ' .. ARGV[6] .. ' ', ARGV[7], ARGV[8], ARGV[9]
local limit, scan = tonumber(ARGV[10]), tonumber(ARGV[11])

local function any(kind) return kinds == '  ' or string.find(kinds, ' ' .. kind .. ' ', 1, true) end
-- The fields of an entry, names and values in turn, in the order of record.lua.
local function matches(fields)
    return fields[2] == app and (user == '' or fields[8] == user) and any(fields[6])
        and (address == '' or fields[14] == address)
end
-- How many to read at a time: all of them match where nothing else is asked for.
local batch_size = math.min(scan, user == '' and ARGV[6] == '' and address == '' and limit or 100)

-- What matches among the entries that `next_entry` returns one by one.
local function search(next_entry)
    local found, reached = {}, ''
    for _ = 1, scan do
        local entry = next_entry()
        if not entry then return found, '' end
        reached = entry[1]
        if matches(entry[2]) then found[#found + 1] = entry end
        if #found == limit then break end
    end
    return found, reached
end

local function entries_of(stream)
    local upto, from, n = before == '' and '+' or '(' .. before, since == '' and '-' or since, 0
    local batch = {}
    return function()
        if n == #batch then
            if n > 0 then upto = '(' .. batch[n][1] end
            batch, n = redis.call('XREVRANGE', key(stream), upto, from, 'COUNT', batch_size), 0
        end
        n = n + 1
        return batch[n]
    end
end

-- An account has a list of its entries, so that it need not be searched for. Some may be deleted already.
local function entries_of_account()
    local function order(id)
        local time, number = string.match(id, '(%d+)-?(%d*)')
        return tonumber(time), tonumber(number) or 0
    end
    local function is_below(id, other)
        local time, number = order(id)
        local other_time, other_number = order(other)
        return time < other_time or (time == other_time and number < other_number)
    end
    local ids = redis.call('LRANGE', key('audited', app, user), 0, -1)
    local n = #ids
    while before ~= '' and n > 0 and not is_below(ids[n], before) do n = n - 1 end
    return function()
        while n > 0 do
            local id = ids[n]
            n = n - 1
            if since ~= '' and is_below(id, since) then return nil end
            local entry = redis.call('XRANGE', key('audit'), id, id)[1]
            if entry then return entry end
        end
    end
end

local found, reached, refusals, reached_refusals = {}, '', {}, ''
local others = kinds:gsub(' console%-refused', ''):gsub(' refused', '')
if kinds == '  ' or others ~= ' ' then found, reached = search(user ~= '' and entries_of_account() or entries_of('audit')) end
if any('refused') or any('console-refused') then refusals, reached_refusals = search(entries_of('refusals')) end
return {'ok', found, reached, refusals, reached_refusals}
