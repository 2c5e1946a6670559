#!lua flags=allow-oom
-- leave_group: remove a consumer that holds nothing; XGROUP DELCONSUMER loses what is pending.
--   KEYS 1 stream
--   ARGV 1 group   2 consumer
--   returns 1 removed, 0 it still holds entries
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
if #pending > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
