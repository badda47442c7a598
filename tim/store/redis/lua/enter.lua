#!lua
-- Admits a newcomer with its first stream open at a node, in one step; one that is known opens another stream.
-- USES: usersigs, reading, admission, streams
-- KEYS: the shard of the account
-- ARGV: id, app, user, browser, address, expires, limit, made, kind, life, idle_life, policy, node, most
--   `most` says how many unread messages the reply has; see `view` in reading.lua. The others stand in admission.lua.
-- Replies:
--   {'ok', view, returned, evicted}  `returned` is 1 where it was away, else 0
--   {'revoked'}                the UserSig was revoked
--   {'blocked', block}         the account is blocked
--   {'at-limit', limit, live}  the newcomer does not fit
--   {'gone', instance}         it is known, and has ended
--   {'forgotten'}              the node has not joined, or is dead; it has to join again
local limit, made, life, idle_life, policy = tonumber(ARGV[10]), ARGV[11], tonumber(ARGV[13]), ARGV[14], ARGV[15]
local node, most = ARGV[16], ARGV[17]
local newcomer = {
    id = ARGV[4], app = ARGV[5], user = ARGV[6], browser = ARGV[7], address = ARGV[8], expires = ARGV[9], kind = ARGV[12],
}

-- Its UserSig is over: it is admitted, as by `admit`, and has ended at once.
local is_late = tonumber(newcomer.expires) <= now

if not redis.call('ZSCORE', key('nodes'), node) then return {'forgotten'} end
local known = find(newcomer.id)
if known then
    local refusal, instances, returned = open_stream(known, node, limit)
    return refusal or {'ok', view(known, instances, exact, most), returned and 1 or 0, {}}
end
local refusal, evicted, instances, account =
    admit(newcomer, limit, made, life, idle_life, policy, not is_late and node)
refusal = refusal or is_late and open_stream(newcomer, node, limit)
if refusal then return refusal end
return {'ok', view(newcomer, instances, exact, most, account), 0, replies_of(evicted)}
