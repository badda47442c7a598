#!lua
local app = ARGV[5]

redis.call('HSET', key('limits', app), unpack(ARGV, 6))
for _, node in ipairs(redis.call('ZRANGE', key('nodes'), 0, -1)) do
    if node ~= me then tell(node, {app = app, limits = true}) end
end
return {'ok'}
