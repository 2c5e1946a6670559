#!lua flags=allow-oom
-- settle_task: keep a task's first result and count it, or report a failed attempt; either way
-- tell the orchestrator and take the dispatch entry off the queue.
-- A result counts whoever brings it; a failure only from the worker that has the entry: one that
-- was silent for too long must not end an attempt that is in other hands by now.
--   KEYS 1 state     hash
--        2 result    string  absent until the first success
--        3 group     hash    completed is counted
--        4 updates   stream
--        5 dispatch  stream
--   ARGV 1 workers group   2 worker   3 dispatch entry id   4 run   5 status: succeeded or failed
--        6 result xml   7 time to live of the result while the request runs (s)
--        8 field of the group that is there once the task has failed for good
--        9... update arguments
--   returns 1 kept and reported; 0 the task's outcome was there already; -1 the request, or this
--           run of it, is over or unknown; -2 a failure of an attempt that is not this worker's:
--           nothing is changed
local state, result, group, updates, dispatch = unpack(KEYS)
local workers, worker, entry, run, status, xml, ttl, failed = unpack(ARGV, 1, 8)
if status == 'failed' then
  local pending = redis.call('XPENDING', dispatch, workers, entry, entry, 1)[1]
  if not pending or pending[2] ~= worker then return -2 end
end
redis.call('XACK', dispatch, workers, entry)
redis.call('XDEL', dispatch, entry)
local status_now, completed_at, current_run =
  unpack(redis.call('HMGET', state, 'status', 'completedAt', 'run'))
if not status_now or completed_at or (current_run or '1') ~= run then return -1 end
if redis.call('HEXISTS', group, failed) == 1 then return 0 end
if status == 'succeeded' then
  if not redis.call('SET', result, xml, 'NX', 'EX', ttl) then return 0 end
  redis.call('HINCRBY', group, 'completed', 1)
elseif redis.call('EXISTS', result) == 1 then
  return 0
end
redis.call('XADD', updates, 'NOMKSTREAM', '*', unpack(ARGV, 9))
return 1
