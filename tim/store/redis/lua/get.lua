#!lua flags=no-writes
local instance = find(ARGV[5])
if not instance then return {'ok', us(now), {}} end
local reason, at = fate(instance)
if reason then
    instance.reason = reason
    instance.at = us(at)
end
return {'ok', us(now), flat(instance)}
