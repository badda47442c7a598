#!lua flags=no-writes
local app, user, after, limit, up_to = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

local entries = redis.call('XREVRANGE', key('log', app, user), up_to, '(' .. after, 'COUNT', limit)
return {'ok', us(now - remembered), entries or {}}
