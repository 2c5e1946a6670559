#!lua flags=allow-oom
-- expire_tasks: give keys of a request's tasks a time to live.
--   KEYS 1 state  hash
--        2... keys of tasks
--   ARGV 1 epoch   2 ttl (s)
--   returns 1; -1 when another orchestrator has the request
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return -1 end
for key = 2, #KEYS do redis.call('EXPIRE', KEYS[key], ARGV[2]) end
return 1
