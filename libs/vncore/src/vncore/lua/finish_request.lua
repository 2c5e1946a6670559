#!lua flags=allow-oom
-- finish_request: give a request its one terminal state, its answer, and an end to all its keys.
-- Raises the epoch: nobody acts for a request that is over, not even who ended it.
--   KEYS 1 state      hash
--        2 response   string
--        3 failure    string
--        4 updates    stream  deleted with its group
--        5 ingest     stream
--        6 lifecycle  stream
--        7... xml, metadata, hydrated, idempotency and the groups' hashes: given a time to live
--   ARGV 1 epoch   2 terminal status   3 now (ms)   4 ttl (s)   5 response, '' for none
--        6 failure report, '' for none   7 orchestrators group   8 ingest entry id
--        9 which of KEYS is the group that failed, 0 for none
--        10 lifecycle length to keep   11... lifecycle arguments
--   returns 1; 0 when this very call has been made before; -1 when another orchestrator has the
--           request, or it is over
local state, response, failure, updates, ingest, lifecycle = unpack(KEYS, 1, 6)
local epoch, status, now, ttl, answer, report, orchestrators, entry = unpack(ARGV, 1, 8)
local status_now, completed_at, epoch_now =
  unpack(redis.call('HMGET', state, 'status', 'completedAt', 'epoch'))
if completed_at then
  local repeated = status_now == status and tonumber(epoch_now) == epoch + 1
  return repeated and 0 or -1
end
if epoch_now ~= epoch then return -1 end
redis.call('HSET', state, 'status', status, 'completedAt', now)
redis.call('HINCRBY', state, 'epoch', 1)
if answer ~= '' then redis.call('SET', response, answer, 'EX', ttl) end
if report ~= '' then redis.call('SET', failure, report, 'EX', ttl) end
local failed_group = KEYS[tonumber(ARGV[9])]
if failed_group then redis.call('HSET', failed_group, 'status', 'failed') end
redis.call('DEL', updates)
redis.call('EXPIRE', state, ttl)
for key = 7, #KEYS do redis.call('EXPIRE', KEYS[key], ttl) end
redis.call('XADD', lifecycle, 'MAXLEN', '~', ARGV[10], '*', unpack(ARGV, 11))
redis.call('XACK', ingest, orchestrators, entry)
redis.call('XDEL', ingest, entry)
return 1
