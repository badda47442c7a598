#!lua
local app, user = ARGV[5], ARGV[6]

if not exists(app, user) then return {'no-account', user} end
local message = {}
for n = 7, #ARGV, 2 do message[ARGV[n]] = ARGV[n + 1] end
message.time = message.time or us(now)
return {'ok', write(app, user, message)}
