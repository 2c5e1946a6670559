#!lua flags=allow-oom
-- cancel_request: end a request at its client's wish, whoever has it. Raises the epoch, so that its
-- orchestrator can change nothing more; results that are there are kept.
--   KEYS 1 state      hash
--        2 updates    stream  deleted with its group
--        3 ingest     stream
--        4 lifecycle  stream
--        5... xml, metadata, hydrated, idempotency and the groups' hashes: given a time to live
--   ARGV 1 number of groups that KEYS has   2 now (ms)   3 ttl (s)   4 orchestrators group
--        5 lifecycle length to keep   6... lifecycle arguments
--   returns the new epoch; 0 when the request is terminal or unknown; -1 when it has another number
--           of groups by now: look again
local state, updates, ingest, lifecycle = unpack(KEYS, 1, 4)
local groups, now, ttl, orchestrators = unpack(ARGV, 1, 4)
local completed_at, count, entry =
  unpack(redis.call('HMGET', state, 'completedAt', 'groupCount', 'ingestEntry'))
if completed_at or not count then return 0 end
if count ~= groups then return -1 end
local epoch = redis.call('HINCRBY', state, 'epoch', 1)
redis.call('HSET', state, 'status', 'cancelled', 'completedAt', now)
redis.call('DEL', updates)
redis.call('EXPIRE', state, ttl)
for key = 5, #KEYS do redis.call('EXPIRE', KEYS[key], ttl) end
redis.call('XADD', lifecycle, 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, 6))
redis.call('XACK', ingest, orchestrators, entry)
redis.call('XDEL', ingest, entry)
return epoch
