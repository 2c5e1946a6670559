#!lua
-- save_fragments: keep what documents of a request share.
--   KEYS 1 state      hash
--        2 fragments  hash
--   ARGV 1 epoch   2... digest, bytes
--   returns 1; -1 when another orchestrator has the request
local state, fragments = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
redis.call('HSET', fragments, unpack(ARGV, 2))
return 1
