#!lua flags=allow-oom
-- fail_tasks: record that tasks get no further attempt, and take their reports off the stream.
-- A task that has a result after all is not touched: the result counts.
--   KEYS 1 state    hash
--        2 group    hash    field failure:<task> = JSON; failed is counted
--        3 updates  stream
--        4... for each task its result  string
--   ARGV 1 epoch   2 update readers group
--        then for each task: field of the group, failure JSON, update entry id
--   returns for each task 1 it has failed, 0 it has a result; -1 when another orchestrator has
--           the request
local state, group, updates = unpack(KEYS, 1, 3)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
local failed, at = {}, 3
for key = 4, #KEYS do
  local field, failure, entry = unpack(ARGV, at, at + 2)
  if redis.call('EXISTS', KEYS[key]) == 1 then
    failed[#failed + 1] = 0
  else
    if redis.call('HSETNX', group, field, failure) == 1 then
      redis.call('HINCRBY', group, 'failed', 1)
    end
    failed[#failed + 1] = 1
  end
  redis.call('XACK', updates, ARGV[2], entry)
  redis.call('XDEL', updates, entry)
  at = at + 3
end
return failed
