#!lua flags=allow-oom
-- settle_task: keep a task's first result and count it, or report a failed attempt; either way
-- tell the orchestrator and take the dispatch entry off the queue.
--   KEYS 1 state     hash
--        2 result    string  absent until the first success
--        3 group     hash    completed is counted
--        4 updates   stream
--        5 dispatch  stream
--   ARGV 1 workers group   2 dispatch entry id   3 status: succeeded or failed   4 result xml
--        5 time to live of the result while the request runs (s)   6... update arguments
--   returns 1 kept and reported; 0 a result was there already; -1 the request is over or unknown;
--           -2 a failure of an attempt that somebody else has settled: not reported
local state, result, group, updates, dispatch = unpack(KEYS)
local workers, entry, status, xml, ttl = unpack(ARGV, 1, 5)
local held = redis.call('XACK', dispatch, workers, entry)
redis.call('XDEL', dispatch, entry)
if redis.call('EXISTS', state) == 0 or redis.call('HEXISTS', state, 'completedAt') == 1 then
  return -1
end
if status == 'succeeded' then
  if not redis.call('SET', result, xml, 'NX', 'EX', ttl) then return 0 end
  redis.call('HINCRBY', group, 'completed', 1)
elseif held == 0 then
  return -2
elseif redis.call('EXISTS', result) == 1 then
  return 0
end
redis.call('XADD', updates, 'NOMKSTREAM', '*', unpack(ARGV, 6))
return 1
