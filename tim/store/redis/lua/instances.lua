#!lua flags=no-writes
return {'ok', all(live(ARGV[5], ARGV[6]))}
