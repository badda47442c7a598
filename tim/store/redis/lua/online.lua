#!lua flags=no-writes
local counted = {}
for n, node in ipairs(redis.call('ZRANGE', key('nodes'), 0, -1)) do
    counted[n] = {node, redis.call('SCARD', key('at', node))}
end
return {'ok', counted}
