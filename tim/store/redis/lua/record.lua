-- The audit of a shard: two streams, one of them for refusals alone, so that a flood of them pushes out nothing else. The id
-- of an entry is the time at which it was written, and a number that no entry of another stream has at that time.

local shard_number = tonumber(string.match(prefix, '{(%d+)}'))
-- More than the numbers of all shards, twice.
local all_streams = 1024
local written = 0
local this_minute = math.floor(now / minute) * minute / 1000000
local expires = {} -- keys whose time to live was set in this step

-- Add to a counter, in total and in the current minute.
local function add(app, name, number)
    local minute_key = key('minute', app, this_minute)
    redis.call('HINCRBY', key('counts', app), name, number)
    redis.call('HINCRBY', minute_key, name, number)
    -- Written by the first of them alone.
    if not expires[minute_key] then redis.call('PEXPIRE', minute_key, (minutes_kept + minute) / 1000, 'NX') end
    expires[minute_key] = true
end

-- Append an entry to the audit, and count it. `at` is a number, now by default; fields that are absent are ''.
function record(app, entry)
    local refused = entry.kind == 'refused' or entry.kind == 'console-refused'
    local stream = key(refused and 'refusals' or 'audit')
    local at, user, code = entry.at or now, entry.user or '', entry.code or ''
    -- Always the same fields in the same order, so that a stream keeps their names but once.
    local values = {
        'app', app, 'at', at == now and '' or us(at), 'kind', entry.kind, 'user', user, 'instance', entry.instance or '',
        'browser', entry.browser or '', 'address', entry.address or '', 'code', code, 'words', entry.words or '',
        'actor', entry.actor or '', 'by', entry.by or '',
    }
    local id = us(now) .. '-' .. written * all_streams + 2 * shard_number + (refused and 1 or 0)
    written = written + 1
    if redis.pcall('XADD', stream, id, unpack(values)).err then
        -- Another script has written at the same time, or at a later one, before the clock was set back.
        local last = of_flat(redis.call('XINFO', 'STREAM', stream))['last-generated-id']
        local time, number = string.match(last, '(%d+)-(%d+)')
        id = time .. '-' .. number + all_streams
        values[4] = us(at)
        redis.call('XADD', stream, id, unpack(values))
    end
    if not refused and user ~= '' then
        local of_account = key('audited', app, user)
        if redis.call('RPUSH', of_account, id) > audited_kept then redis.call('LPOP', of_account) end
    end
    add(app, entry.kind .. ':' .. code, 1)
end

-- audit.end_of: the entry of an instance that has ended.
local ends_as = {
    multipleAccount = 'evicted', multipleDevice = 'signed-out', userSigExpired = 'expired', REST_API_Kick = 'kicked',
    loggedOut = 'logout', away = 'away',
}
-- ends.EXPIRY_WORDS
local expiry_words = {usersig = '', life = 'its session life was over', idle = 'it was idle for too long'}
function record_end(instance, by, actor)
    local kind = assert(ends_as[instance.reason], 'no end that is written down')
    if kind == 'logout' and by then kind = 'signed-out' end
    if (kind == 'expired' or kind == 'away') and (actor or '') == '' then actor = 'server' end
    local words = instance.words
    if kind == 'expired' then
        local at, cause = ends_at(instance)
        words = tonumber(instance.at) < at and '' or expiry_words[cause]
    end
    record(instance.app, {
        at = tonumber(instance.at), kind = kind, user = instance.user, instance = instance.id,
        browser = instance.browser, address = instance.address, code = instance.reason, words = words,
        actor = actor, by = by and by.id,
    })
end

-- Delete some of the oldest entries that are older than `age` or more than allowed, with what names them; whether that
-- were `many`, so that more may be left.
function delete_entries(age, entries, refusals, many)
    local audit = key('audit')
    redis.call('XTRIM', key('refusals'), 'MINID', us(now - age))
    redis.call('XTRIM', key('refusals'), 'MAXLEN', refusals)
    local excess = redis.call('XLEN', audit) - entries
    local upto, number = '(' .. us(now - age) .. '-0', many
    if excess > 0 then upto, number = '+', math.min(many, excess) end
    local oldest = redis.call('XRANGE', audit, '-', upto, 'COUNT', number)
    local ids = {}
    for n, found in ipairs(oldest) do
        local entry = of_flat(found[2])
        local of_account = key('audited', entry.app, entry.user)
        if redis.call('LINDEX', of_account, 0) == found[1] then redis.call('LPOP', of_account) end
        ids[n] = found[1]
    end
    if #ids > 0 then redis.call('XDEL', audit, unpack(ids)) end
    return #ids == many
end
