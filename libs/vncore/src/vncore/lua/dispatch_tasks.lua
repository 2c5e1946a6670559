#!lua
-- dispatch_tasks: store task documents and queue their first attempts, in task order.
-- A task of an earlier run whose document is still the same keeps its result (a redrive); one whose
-- document has changed loses it and is queued again. A task that failed before it could be queued
-- is recorded as failed.
--   KEYS 1 state     hash
--        2 group     hash    `dispatched`: the last task that this run has handled
--        3 dispatch  stream
--        then for each task: xml string, trace string, result string
--   ARGV 1 epoch   2 time to live of task keys while the request runs (s)
--        3 number of the first task   4 number f of entry arguments a task
--        then for each task: xml, trace, failure ('' for none), field of the group for the
--        failure, f entry arguments
--   returns for each task the entry's id, '' when nothing was queued;
--           -1 when another orchestrator has the request
local state, group, dispatch = unpack(KEYS, 1, 3)
local ttl, task, width = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
local handled = tonumber(redis.call('HGET', group, 'dispatched') or 0)
local entries, at = {}, 5
for key = 4, #KEYS, 3 do
  local xml, trace, result = unpack(KEYS, key, key + 2)
  local entry = ''
  if task > handled then
    local same = redis.call('GET', xml) == ARGV[at]
    redis.call('SET', xml, ARGV[at], 'EX', ttl)
    redis.call('SET', trace, ARGV[at + 1], 'EX', ttl)
    if ARGV[at + 2] ~= '' then
      redis.call('DEL', result)
      redis.call('HSET', group, ARGV[at + 3], ARGV[at + 2])
      redis.call('HINCRBY', group, 'failed', 1)
    elseif same and redis.call('EXPIRE', result, ttl) == 1 then
      redis.call('HINCRBY', group, 'completed', 1)
    else
      redis.call('DEL', result)
      entry = redis.call('XADD', dispatch, '*', unpack(ARGV, at + 4, at + 3 + width))
    end
    redis.call('HSET', group, 'dispatched', task)
  end
  entries[#entries + 1] = entry
  task = task + 1
  at = at + 4 + width
end
return entries
