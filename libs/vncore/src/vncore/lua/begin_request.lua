#!lua
-- begin_request: make the caller the one orchestrator of a request, from now on.
-- Raises the request's epoch: whoever acted with an older one can change nothing more.
--   KEYS 1 state      hash
--        2 updates    stream  made with its group when absent
--        3 lifecycle  stream
--   ARGV 1 now (ms)   2 update readers group   3 lifecycle length to keep
--        4... lifecycle arguments
--   returns the epoch (1, 2, ...); 0 when the request is terminal; -1 when it is unknown
local state, updates, lifecycle = unpack(KEYS)
local now, readers = ARGV[1], ARGV[2]
local status = redis.call('HGET', state, 'status')
if not status then return -1 end
if redis.call('HEXISTS', state, 'completedAt') == 1 then return 0 end

local epoch = redis.call('HINCRBY', state, 'epoch', 1)
if redis.call('EXISTS', updates) == 0 then
  redis.call('XGROUP', 'CREATE', updates, readers, '0', 'MKSTREAM')
end
if status == 'received' then
  redis.call('HSET', state, 'status', 'started', 'startedAt', now)
  redis.call('XADD', lifecycle, 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
else
  redis.call('HINCRBY', state, 'retryCount', 1)
end
return epoch
