#!lua
-- start_group: open a group whose tasks are about to be dispatched.
--   KEYS 1 state      hash
--        2 group      hash    kept when there already (a resumed request)
--        3 lifecycle  stream
--   ARGV 1 epoch   2 group index   3 group name   4 expected tasks   5 now (ms)
--        6 lifecycle length to keep   7... lifecycle arguments
--   returns 1 started, 0 was started before; -1 when another orchestrator has the request
local state, group, lifecycle = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
redis.call('HSET', state, 'status', 'group_started', 'currentGroup', ARGV[2])
if redis.call('EXISTS', group) == 1 then return 0 end
redis.call('HSET', group, 'name', ARGV[3], 'expected', ARGV[4], 'completed', 0, 'failed', 0,
  'status', 'started', 'startedAt', ARGV[5])
redis.call('XADD', lifecycle, 'MAXLEN', '~', ARGV[6], '*', unpack(ARGV, 7))
return 1
