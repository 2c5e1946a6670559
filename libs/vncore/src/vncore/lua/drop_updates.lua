#!lua flags=allow-oom
-- drop_updates: delete the update stream of a request that is over or gone.
--   KEYS 1 state    hash
--        2 updates  stream
--   ARGV 1 none
--   returns 1 deleted; 0 the request is open, or there was no stream
local state, updates = unpack(KEYS)
local status, completed_at = unpack(redis.call('HMGET', state, 'status', 'completedAt'))
if status and not completed_at then return 0 end
return redis.call('DEL', updates)
