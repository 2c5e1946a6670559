#!lua
-- dispatch_tasks: store task documents and queue their first attempts.
--   KEYS 1 state     hash
--        2 dispatch  stream
--        then for each task: xml string, trace string; both absent until now
--   ARGV 1 epoch   2 time to live of task keys while the request runs (s)
--        3 number f of entry arguments a task
--        then for each task: xml, trace, f entry arguments
--   returns for each task the entry's id, '' when it was dispatched before;
--           -1 when another orchestrator has the request
local state, dispatch = KEYS[1], KEYS[2]
local ttl, width = ARGV[2], tonumber(ARGV[3])
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
local entries, at = {}, 4
for key = 3, #KEYS, 2 do
  local entry = ''
  if redis.call('SET', KEYS[key], ARGV[at], 'NX', 'EX', ttl) then
    redis.call('SET', KEYS[key + 1], ARGV[at + 1], 'EX', ttl)
    entry = redis.call('XADD', dispatch, '*', unpack(ARGV, at + 2, at + 1 + width))
  end
  entries[#entries + 1] = entry
  at = at + 2 + width
end
return entries
