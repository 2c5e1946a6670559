#!lua flags=allow-oom
-- acknowledge_updates: take settled updates off a request's stream.
--   KEYS 1 state    hash
--        2 updates  stream
--   ARGV 1 epoch   2 update readers group   3... entry ids
--   returns 1; -1 when another orchestrator has the request
local state, updates = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
redis.call('XACK', updates, ARGV[2], unpack(ARGV, 3))
redis.call('XDEL', updates, unpack(ARGV, 3))
return 1
