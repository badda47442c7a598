#!lua
-- Makes room for the newcomer as the policy says, and admits it.
-- KEYS: the shard of the account
-- ARGV: id, app, user, browser, address, expires, limit, made, kind, life, idle_life, policy, [seen, ending]
--   `made` is the date of the UserSig in unix seconds, or `exact` if it is not known. `life` is how long the instance
--   lasts at most, and `idle_life` the same in seconds without an action; 0 for any time. With a choice, `seen` has the
--   ids from which it was made, oldest generation first, and `ending` the chosen ones, separated by blanks.
-- Replies:
--   {'ok', instance, evicted}  admitted, or it was before
--   {'revoked'}                the UserSig was revoked
--   {'blocked', block}         the account is blocked
--   {'at-limit', limit, live}  the newcomer does not fit
local id, app, user, browser, address = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local expires, limit, made, kind = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12]
local life, idle_life = tonumber(ARGV[13]), ARGV[14]
local policy, seen, ending = ARGV[15], ARGV[16], ARGV[17]

-- rules.making_room: those of the live instances, oldest generation first, that leave; nil where the newcomer does not fit.
local function making_room(seated)
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

local known = find(id)
if known then return {'ok', flat(known), {}} end
local account = key('account', app, user)
local revoked_before, revoked, early = unpack(redis.call('HMGET', account, 'revoked_before', 'revoked', 'early'))
local usersig = us(made) .. '/' .. expires
if made < tonumber(revoked_before or 0) or usersigs(revoked)[usersig] then return {'revoked'} end
local block = block_of(account)
if block then return {'blocked', flat(block)} end

local seated = live(app, user, true)
local evicted = making_room(seated)
if not evicted then return {'at-limit', limit, all_flat(seated)} end
local newcomer = {id = id, browser = browser, address = address}
end_action = 'none' -- the event of the login counts them
for _, instance in ipairs(evicted) do finish(instance, 'multipleAccount', now, newcomer) end

redis.call('HSET', account, 'exists', 1)
-- Dated ahead, so its date may lie after the next kick: remember it, so that the kick revokes it as well.
if made * 1000000 > now and made < exact then
    local used = usersigs(early, now / 1000000)
    used[usersig] = made
    keep_usersigs(account, 'early', used)
end
local instance = {id = id}
local generation = redis.call('HINCRBY', account, 'generation', 1)
set(instance, {
    app = app, user = user, browser = browser, address = address, since = now, expires = expires,
    generation = generation, ordinal = generation, stream = 0, detached_at = now, active_at = now,
    kind = kind ~= 'tab' and kind or nil, lasts_until = life > 0 and now + life or nil,
    idle_life = idle_life ~= '0' and idle_life or nil,
})
redis.call('ZADD', key('live', app, user), instance.generation, id)
list(instance)
record(app, {kind = 'login', user = user, instance = id, browser = browser, address = address})
schedule(instance)
queue_event(instance, 'Login', now, #evicted)
notify_changed(app, user)
return {'ok', flat(instance), all_flat(evicted)}
