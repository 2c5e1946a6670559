#!lua flags=allow-oom
-- hand_back: give up entries that were begun and not finished, for another consumer to take at
-- once. The delivery does not count: nothing went wrong with the entry.
--   KEYS 1 stream
--   ARGV 1 group   2 consumer   3 idle time to show (ms)   4... entry ids
--   returns how many were handed back; entries that the consumer no longer owns are left alone
local stream, group, consumer, idle = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local handed = 0
for at = 4, #ARGV do
  local pending = redis.call('XPENDING', stream, group, ARGV[at], ARGV[at], 1)[1]
  if pending and pending[2] == consumer then
    redis.call('XCLAIM', stream, group, consumer, 0, ARGV[at],
      'IDLE', idle, 'RETRYCOUNT', math.max(0, pending[4] - 1), 'JUSTID')
    handed = handed + 1
  end
end
return handed
