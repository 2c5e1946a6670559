#!lua
-- start_group: open a group whose tasks are about to be dispatched.
--   KEYS 1 state      hash
--        2 group      hash    kept when it is open already (a resumed request)
--        3 lifecycle  stream
--   ARGV 1 epoch   2 group index   3 group name   4 expected tasks   5 failure policy
--        6 now (ms)   7 lifecycle length to keep   8... lifecycle arguments
--   returns 1 started, 0 was started before; -1 when another orchestrator has the request
local state, group, lifecycle = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
redis.call('HSET', state, 'status', 'group_started', 'currentGroup', ARGV[2])
local status = redis.call('HGET', group, 'status')
if status and status ~= 'reopened' then return 0 end
redis.call('HSET', group, 'name', ARGV[3], 'expected', ARGV[4], 'completed', 0, 'failed', 0,
  'dispatched', 0, 'onFailure', ARGV[5], 'status', 'started', 'startedAt', ARGV[6])
redis.call('XADD', lifecycle, 'MAXLEN', '~', ARGV[7], '*', unpack(ARGV, 8))
return 1
