#!lua flags=allow-oom
-- Ends, for an evicted instance, every instance of its account that logged in later, and revokes UserSigs.
-- USES: usersigs
-- KEYS: the shard of the account
-- ARGV: id, call
--   `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', left, ended, again}  microseconds until new UserSigs are accepted; what it ended; 1 where it was said before,
--                               by it or since, so that nothing has changed, else 0
--   {'not-displaced', late}     no login has evicted it, or that was too long ago: 1, else 0
--   {'unknown', id, at}         there is no such instance
local id, call = ARGV[4], ARGV[5]

local earlier = earlier_reply(call)
if earlier then return earlier end
local this = find(id)
if not this then return {'unknown', id, us(now)} end
if this.disowned then return {'ok', '0', {}, 1} end
-- rules.check_displaced
if this.reason ~= 'multipleAccount' or not this.by_browser then return {'not-displaced', 0} end
if this.at + not_me_life <= now then return {'not-displaced', 1} end

local app, user = this.app, this.user
local function ordinal(instance) return tonumber(instance.ordinal or instance.generation) end
-- rules.said_since, rules.disowned and rules.displacer
local account = key('account', app, user)
local said_at = tonumber(redis.call('HGET', account, 'disowned_at') or 0)
local said_since = tonumber(this.at) <= said_at
local younger, displacer = {}, nil
for _, instance in ipairs(remaining(app, user)) do
    local is_later = said_since and tonumber(instance.since) > said_at
    if ordinal(instance) > ordinal(this) and not is_later then younger[#younger + 1] = instance end
end
if said_since and #younger == 0 then return {'ok', '0', {}, 1} end
table.sort(younger, function(a, b) return ordinal(a) < ordinal(b) end)
for _, instance in ipairs(younger) do
    if instance.since == this.at then displacer = displacer or instance.id end
end

set(this, {disowned = 1})
record(app, {
    kind = 'not-me', user = user, instance = id, browser = this.browser, address = this.address, by = displacer,
    words = string.format('ended %d instance%s', #younger, #younger == 1 and '' or 's'),
})
local left = 0
if not said_since then -- else its UserSigs of then are revoked, and later ones are none of a stranger's
    redis.call('HSET', account, 'disowned_at', us(now))
    left = revoke_usersigs(app, user)
    record(app, {kind = 'revoked', user = user})
end
for _, instance in ipairs(younger) do finish(instance, 'REST_API_Kick', now, this) end
notify_changed(this)
return keep_reply(call, {'ok', us(left), replies_of(younger), 0})
