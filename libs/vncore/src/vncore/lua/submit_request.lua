#!lua
-- submit_request: make a request exist, whole or not at all (DESIGN promise 1), and once only for
-- each idempotency key.
--   KEYS 1 xml          string  document
--        2 metadata     string  JSON
--        3 state        hash    absent until now
--        4 ingest       stream
--        5 lifecycle    stream
--        6 index        zset    request id by time received
--        7 idempotency  string  "<request id> <digest>"; only given when the client sent a key
--   ARGV 1 request id   2 now (ms)   3 oldest index score to keep (ms)   4 index ttl (s)
--        5 document     6 metadata   7 lifecycle length to keep   8 digest of what was sent
--        9 number n of state arguments, then the n state arguments,
--        then a number m, the m ingest arguments, and the lifecycle arguments
--   returns {1, request id}; {0, request id} when that request was there already, be it by this id
--           or by the key: nothing is changed; {-1, request id} when the key was used with
--           something else
local xml, metadata, state, ingest, lifecycle, index, idempotency = unpack(KEYS)
local request_id, now, oldest, index_ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', state) == 1 then return {0, request_id} end
local known = idempotency and redis.call('GET', idempotency)
if known then
  local first_id, digest = string.match(known, '^(%S+) (%S+)$')
  return {digest == ARGV[8] and 0 or -1, first_id}
end

local first_state = 10
local last_state = 9 + tonumber(ARGV[9])
local first_ingest = last_state + 2
local last_ingest = last_state + 1 + tonumber(ARGV[last_state + 1])

redis.call('SET', xml, ARGV[5])
redis.call('SET', metadata, ARGV[6])
redis.call('HSET', state, unpack(ARGV, first_state, last_state))
local entry = redis.call('XADD', ingest, '*', unpack(ARGV, first_ingest, last_ingest))
redis.call('HSET', state, 'ingestEntry', entry)
if idempotency then redis.call('SET', idempotency, request_id .. ' ' .. ARGV[8]) end
redis.call('XADD', lifecycle, 'MAXLEN', '~', ARGV[7], '*', unpack(ARGV, last_ingest + 1))
redis.call('ZADD', index, now, request_id)
redis.call('ZREMRANGEBYSCORE', index, '-inf', '(' .. oldest)
redis.call('EXPIRE', index, index_ttl)
return {1, request_id}
