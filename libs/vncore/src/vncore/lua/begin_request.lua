#!lua
-- begin_request: make the caller the one orchestrator of a request, from now on.
-- Raises the request's epoch: whoever acted with an older one can change nothing more.
--   KEYS 1 state      hash
--        2 updates    stream  made with its group when absent
--        3 lifecycle  stream
--   ARGV 1 now (ms)   2 update readers group   3 run   4 the orchestrator's consumer name
--        5 lifecycle length to keep   6... lifecycle arguments
--   returns the epoch (1, 2, ...); 0 when this run of the request is over; -1 when it is unknown
local state, updates, lifecycle = unpack(KEYS)
local now, readers, run, orchestrator = unpack(ARGV, 1, 4)
local status, completed_at, current_run =
  unpack(redis.call('HMGET', state, 'status', 'completedAt', 'run'))
if not status then return -1 end
if completed_at or (current_run or '1') ~= run then return 0 end

local epoch = redis.call('HINCRBY', state, 'epoch', 1)
redis.call('HSET', state, 'orchestrator', orchestrator)
if redis.call('EXISTS', updates) == 0 then
  redis.call('XGROUP', 'CREATE', updates, readers, '0', 'MKSTREAM')
end
if status == 'received' then
  redis.call('HSET', state, 'status', 'started', 'startedAt', now)
  redis.call('XADD', lifecycle, 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, 6))
else
  redis.call('HINCRBY', state, 'retryCount', 1)
end
return epoch
