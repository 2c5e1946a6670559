#!lua flags=allow-oom
-- renew_entries: keep a consumer's pending entries fresh, but only those it still owns.
-- XCLAIM alone would steal back what another consumer took over while this one was stopped.
--   KEYS 1 stream
--   ARGV 1 group   2 consumer   3... entry ids
--   returns the ids that the consumer no longer owns
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local lost = {}
for at = 3, #ARGV do
  local pending = redis.call('XPENDING', stream, group, ARGV[at], ARGV[at], 1)[1]
  if pending and pending[2] == consumer then
    redis.call('XCLAIM', stream, group, consumer, 0, ARGV[at], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[at]
  end
end
return lost
