#!lua flags=allow-oom
-- retry_task: queue the recorded next attempt of a task.
--   KEYS 1 state     hash
--        2 group     hash    field retry:<task>, removed
--        3 dispatch  stream
--   ARGV 1 epoch   2 task id   3... entry arguments
--   returns the entry's id; '' when no retry was recorded (a repeated call changes nothing);
--           -1 when another orchestrator has the request
local state, group, dispatch = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
if redis.call('HDEL', group, 'retry:' .. ARGV[2]) == 0 then return '' end
return redis.call('XADD', dispatch, '*', unpack(ARGV, 3))
