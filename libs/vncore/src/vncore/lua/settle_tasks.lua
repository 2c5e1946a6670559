#!lua flags=allow-oom
-- settle_tasks: keep first results of tasks and count them, report failed attempts; tell the
-- orchestrator, and take the dispatch entry off the queue once all of its tasks are settled.
-- A result counts whoever brings it; a failure only from the worker that has the entry: one that
-- was silent for too long must not end an attempt that is in other hands by now.
--   KEYS 1 state     hash
--        2 group     hash    completed is counted
--        3 updates   stream
--        4 dispatch  stream
--        then for each task its result  string  absent until the first success
--   ARGV 1 workers group   2 worker   3 dispatch entry id   4 run   5 number of tasks in the entry
--        6 field of the group that lists tasks of the entry that are settled: only while some are
--        not   7 number u of update arguments that all have, then these
--        then for each task 5: its number, result xml, field of the group that is there once the
--        task has failed for good, duration (ms), error: JSON, '' when it succeeded
--   returns for each task 1 kept and reported; 0 its outcome was there already; -1 the request, or
--           this run of it, is over or unknown; -2 a failure of an attempt that is not this
--           worker's, or no more: nothing is changed
local state, group, updates, dispatch = unpack(KEYS, 1, 4)
local workers, worker, entry, run, total, field = unpack(ARGV, 1, 6)
local width = tonumber(ARGV[7])
total = tonumber(total)
local status, completed_at, current_run =
  unpack(redis.call('HMGET', state, 'status', 'completedAt', 'run'))
local over = not status or completed_at or (current_run or '1') ~= run

local function tell(...)
  local fields = {unpack(ARGV, 8, 7 + width)}
  for _, one in ipairs({...}) do fields[#fields + 1] = one end
  redis.call('XADD', updates, 'NOMKSTREAM', '*', unpack(fields))
end

local pending -- the worker who has the entry; false: it is gone
local function had_by()
  if pending == nil then
    local row = redis.call('XPENDING', dispatch, workers, entry, entry, 1)[1]
    pending = row and row[2] or false
  end
  return pending
end

local list -- of those settled or moved before
local function listed(number)
  list = list or total > 1 and redis.call('HGET', group, field) or ','
  return string.find(list, ',' .. number .. ',', 1, true)
end

local tasks, outcomes, settled, given_up, good = {}, {}, {}, {}, {}
local at = 8 + width
for key = 5, #KEYS do
  local number, xml, failed_for_good, duration, err = unpack(ARGV, at, at + 4)
  tasks[#tasks + 1] =
    {number = number, xml = xml, duration = duration, err = err, result = KEYS[key]}
  given_up[#given_up + 1] = failed_for_good
  at = at + 5
end
given_up = over and {} or redis.call('HMGET', group, unpack(given_up))

for index, task in ipairs(tasks) do
  local failure = task.err ~= ''
  if failure and (had_by() ~= worker or listed(task.number)) then
    outcomes[index] = -2
  else
    settled[#settled + 1] = task.number
    if over then
      outcomes[index] = -1
    elseif given_up[index] or (failure and redis.call('EXISTS', task.result) == 1) then
      outcomes[index] = 0
    elseif failure then
      tell('status', 'failed', 'taskId', task.number, 'resultKey', task.result,
        'durationMs', task.duration, 'error', task.err)
      outcomes[index] = 1
    else
      good[#good + 1] = index
    end
  end
end

-- All at once, unless one of them is there already.
local values = {}
for _, index in ipairs(good) do
  values[#values + 1] = tasks[index].result
  values[#values + 1] = tasks[index].xml
end
local all_new = #good > 0 and redis.call('MSETNX', unpack(values)) == 1
local told, last = {}, nil
for _, index in ipairs(good) do
  local task = tasks[index]
  if all_new or redis.call('SETNX', task.result, task.xml) == 1 then
    outcomes[index] = 1
    told[#told + 1] = '[' .. task.number .. ',' .. task.duration .. ']'
    last = task
  else
    outcomes[index] = 0
  end
end
if #told > 0 then redis.call('HINCRBY', group, 'completed', #told) end
if #told == 1 then
  tell('status', 'succeeded', 'taskId', last.number, 'resultKey', last.result,
    'durationMs', last.duration, 'error', '')
elseif #told > 1 then
  tell('status', 'succeeded', 'tasks', '[' .. table.concat(told, ',') .. ']')
end

local done = over and #settled > 0 or #settled >= total
if not done and #settled > 0 and had_by() then -- else it ended before: a late or repeated call
  for _, number in ipairs(settled) do
    if not listed(number) then list = list .. number .. ',' end
  end
  local _, count = string.gsub(list, '%d+', '')
  done = count >= total
  if not done then redis.call('HSET', group, field, list) end
end
if done then
  if total > 1 then redis.call('HDEL', group, field) end
  redis.call('XACK', dispatch, workers, entry)
  redis.call('XDEL', dispatch, entry)
end
return outcomes
