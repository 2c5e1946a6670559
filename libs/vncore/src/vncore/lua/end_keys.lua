#!lua flags=allow-oom
-- end_keys: let keys of a request that is over or gone end with it, none later than its state.
--   KEYS 1 state  hash
--        2... keys of that request, the state itself perhaps
--   ARGV 1 ttl (ms) for a request that is gone, and for one whose state has none itself
--   returns how many of the keys end earlier now; 0 when the request is open
local state, ttl = KEYS[1], ARGV[1]
local status, completed_at = unpack(redis.call('HMGET', state, 'status', 'completedAt'))
if status and not completed_at then return 0 end
local ends = redis.call('PEXPIRETIME', state)
local ended = 0
for key = 2, #KEYS do
  if ends > 0 then
    ended = ended + redis.call('PEXPIREAT', KEYS[key], ends, 'LT')
  else
    ended = ended + redis.call('PEXPIRE', KEYS[key], ttl, 'LT')
  end
end
return ended
