#!lua flags=no-writes
local app, user, after, limit = ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local entries = redis.call('XREVRANGE', key('log', app, user), '+', '(' .. after, 'COUNT', limit)
return {'ok', us(now - remembered), entries}
