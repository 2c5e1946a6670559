#!lua flags=allow-oom
-- complete_group: close a group once every task of it has a result.
--   KEYS 1 state      hash
--        2 group      hash
--        3 lifecycle  stream
--   ARGV 1 epoch   2 now (ms)   3 lifecycle length to keep   4... lifecycle arguments
--   returns 1; 0 was closed before; -1 when another orchestrator has the request;
--           -2 when tasks are still open
local state, group, lifecycle = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
local expected, completed, failed, status =
  unpack(redis.call('HMGET', group, 'expected', 'completed', 'failed', 'status'))
if status == 'completed' then return 0 end
if completed + failed < tonumber(expected) then return -2 end
redis.call('HSET', group, 'status', 'completed', 'completedAt', ARGV[2])
redis.call('HSET', state, 'status', 'group_completed')
redis.call('XADD', lifecycle, 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
return 1
