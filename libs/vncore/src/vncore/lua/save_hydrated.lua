#!lua
-- save_hydrated: keep the hydrated document and what it was made from.
--   KEYS 1 state     hash
--        2 hydrated  hash
--   ARGV 1 epoch   2 group count   3... field, value of the hydrated hash
--   returns 1; -1 when another orchestrator has the request
local state, hydrated = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
redis.call('HSET', hydrated, unpack(ARGV, 3))
redis.call('HSET', state, 'groupCount', ARGV[2])
return 1
