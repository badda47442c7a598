#!lua
-- Opens a stream of an instance at a node; an instance that was away takes a seat again if one is free.
-- USES: reading, streams
-- KEYS: the shard of the account
-- ARGV: id, node, limit, after, most, [newest, call]
--   `after` and `most` say which messages the reply has; see `view` in reading.lua. With `newest`, only if that is still the
--   number of the newest stream. `call` is the id of the call; a repeated call has the same.
-- Replies:
--   {'ok', view, returned}  attached; see `view` in reading.lua. `returned` is 1 where the instance was away, else 0
--   {'ok', instance}  attached, where the call has an id
--   {'ok', false}     stream `newest` is not the newest one any more
--   {'gone', instance}  the instance has ended
--   {'unknown', id, at}  there is no such instance
--   {'forgotten'}     the node has not joined, or is dead; it has to join again
local id, node, limit, after, most = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local newest, call = ARGV[9], ARGV[10]

local earlier = call and earlier_reply(call)
if earlier then return earlier end
local instance = find(id)
if not instance then return {'unknown', id, us(now)} end
if not redis.call('ZSCORE', key('nodes'), node) then return {'forgotten'} end

local refusal, instances, returned = open_stream(instance, node, limit, newest)
if refusal then return refusal end
if call then return keep_reply(call, {'ok', reply_of(instance)}) end
return {'ok', view(instance, instances, after, most), returned and 1 or 0}
