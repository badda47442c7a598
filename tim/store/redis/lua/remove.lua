#!lua flags=allow-oom
-- Ends an instance for good.
-- KEYS: the shard of the account
-- ARGV: id, reason, stream, actor, words, [browser, address]
--   With `stream`, which may be empty, only if that is its newest stream. `actor` and `words` are who ends it and an
--   operator's reason; both may be empty. `browser` and `address` are the client's that ends it, where there is one.
-- Replies:
--   {'ok', instance}  ended
--   {'ok', false}     it had ended before, has a later stream, or is not known
local id, reason, stream, actor, words = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local by = ARGV[9] and {browser = ARGV[9], address = ARGV[10]}

local instance = find(id)
if instance and stream ~= '' and instance.stream ~= stream then return {'ok', false} end
if stream ~= '' then end_action = 'Disconnect' end -- its page was closed
if not instance or not finish_for_good(instance, reason, by, actor, words ~= '' and words or nil) then
    return {'ok', false}
end
notify_changed(instance)
return {'ok', reply_of(instance)}
