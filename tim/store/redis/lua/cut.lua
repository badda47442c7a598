#!lua flags=allow-oom
-- Notifies the node that has the stream of an instance open to cut its connection.
-- KEYS: the shard of the account
-- ARGV: id
-- Replies:
--   {'ok', instance}  its stream is open
--   {'ok', false}     it is not, or the instance is not known
local instance = find(ARGV[4])
if not instance or not instance.node or ended(instance) then return {'ok', false} end
notify_nodes({instance}, 'cut', {app = instance.app, user = instance.user, instance = instance.id,
                                 stream = instance.stream})
return {'ok', reply_of(instance)}
