#!lua flags=allow-oom
-- renew_entries: keep a consumer's pending entries fresh, but only those it still owns.
-- XCLAIM alone would steal back what another consumer took over while this one was stopped.
--   KEYS 1 stream
--   ARGV 1 group   2 consumer   3... entry ids
--   returns two lists of ids: those that another consumer owns now; those that are pending no
--           more, because somebody, this consumer perhaps, acknowledged them
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local taken, gone = {}, {}
for at = 3, #ARGV do
  local pending = redis.call('XPENDING', stream, group, ARGV[at], ARGV[at], 1)[1]
  if not pending then
    gone[#gone + 1] = ARGV[at]
  elseif pending[2] == consumer then
    redis.call('XCLAIM', stream, group, consumer, 0, ARGV[at], 'JUSTID')
  else
    taken[#taken + 1] = ARGV[at]
  end
end
return {taken, gone}
