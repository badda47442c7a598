#!lua
-- Makes room for the newcomer as the policy says, and admits it.
-- USES: usersigs, admission
-- KEYS: the shard of the account
-- ARGV: id, app, user, browser, address, expires, limit, made, kind, life, idle_life, policy, [seen, ending]
--   What they mean stands in admission.lua.
-- Replies:
--   {'ok', instance, evicted}  admitted, or it was before
--   {'revoked'}                the UserSig was revoked
--   {'blocked', block}         the account is blocked
--   {'at-limit', limit, live}  the newcomer does not fit
local limit, made, life, idle_life, policy = tonumber(ARGV[10]), ARGV[11], tonumber(ARGV[13]), ARGV[14], ARGV[15]
local seen, ending = ARGV[16], ARGV[17]
local newcomer = {
    id = ARGV[4], app = ARGV[5], user = ARGV[6], browser = ARGV[7], address = ARGV[8], expires = ARGV[9], kind = ARGV[12],
}

local known = find(newcomer.id)
if known then return {'ok', reply_of(known), {}} end
local refusal, evicted = admit(newcomer, limit, made, life, idle_life, policy, nil, seen, ending)
if refusal then return refusal end
return {'ok', reply_of(newcomer), replies_of(evicted)}
