#!lua flags=allow-oom
-- schedule_retry: record when a task gets its next attempt, and take the report off the stream.
--   KEYS 1 state    hash
--        2 group    hash    field retry:<task> = "<attempt>:<due ms>"
--        3 updates  stream
--   ARGV 1 epoch   2 task id   3 next attempt   4 due (ms)
--        5 update readers group   6 update entry id
--   returns 1; -1 when another orchestrator has the request
local state, group, updates = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
redis.call('HSET', group, 'retry:' .. ARGV[2], ARGV[3] .. ':' .. ARGV[4])
redis.call('XACK', updates, ARGV[5], ARGV[6])
redis.call('XDEL', updates, ARGV[6])
return 1
