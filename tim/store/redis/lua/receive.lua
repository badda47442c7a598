#!lua
local app, user, may_write, repeated = ARGV[5], ARGV[6], ARGV[7] == '1', tonumber(ARGV[8])
local max_log, overhead = tonumber(ARGV[9]), tonumber(ARGV[10])

if not exists(app, user) then return {'no-account', user} end
local message = {}
for n = 11, #ARGV, 2 do message[ARGV[n]] = ARGV[n + 1] end
-- The copy of a message that another log has is of the same time, or of an attempt after it.
local since = tonumber(message.time or now - repeated)
message.time = message.time or us(now)
local known, copy = copy_of(app, user, message, since)
if known then return {'ok', known, copy} end
if not may_write then return {'ok', false} end
return {'ok', write(app, user, message, max_log, overhead)}
