#!lua flags=no-writes
local node = ARGV[5]

local streams = {}
for _, id in ipairs(redis.call('SMEMBERS', key('at', node))) do
    streams[#streams + 1] = {id, redis.call('HGET', key('instance', id), 'stream')}
end
return {'ok', streams}
