#!lua
-- dispatch_tasks: store task documents and queue their first attempts, in task order, one entry for
-- each slice of neighbouring tasks.
-- A task of an earlier run whose document is still the same keeps its result (a redrive); one whose
-- document has changed loses it and is queued again. A task that failed before it could be queued
-- is recorded as failed.
--   KEYS 1 state     hash
--        2 group     hash    `dispatched`: the last task that this run has handled
--        3 dispatch  stream
--        4 traces    hash    by task
--        then for each task: xml string, result string
--   ARGV 1 epoch   2 number of the first task
--        3 1 when nothing of an earlier run can be there, else 0
--        4 number f of arguments that all entries have, then these
--        then for each task 7: xml, trace, failure ('' for none), field of the group for the
--        failure, valuation name, the same as JSON, 1 where a slice begins
--   returns for each task the entry's id, '' when nothing was queued;
--           -1 when another orchestrator has the request
local state, group, dispatch, traces = unpack(KEYS, 1, 4)
local task, first_run, width = tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return -1 end
local handled = tonumber(redis.call('HGET', group, 'dispatched') or 0)
local entries, slice, documents, traced, failed, kept = {}, {}, {}, {}, 0, 0

local function queue()
  if #slice == 0 then return end
  local fields = {unpack(ARGV, 5, 4 + width)}
  local function add(...) for _, one in ipairs({...}) do fields[#fields + 1] = one end end
  if #slice == 1 then
    local one = slice[1]
    add('taskId', one.task, 'valuationName', one.name, 'payloadKey', one.xml,
      'resultKey', one.result)
  else
    local told = {}
    for at, one in ipairs(slice) do told[at] = '[' .. one.task .. ',' .. one.json .. ']' end
    add('tasks', '[' .. table.concat(told, ',') .. ']')
  end
  local id = redis.call('XADD', dispatch, '*', unpack(fields))
  for _, one in ipairs(slice) do entries[one.at] = id end
  slice = {}
end

local at = 5 + width
for key = 5, #KEYS, 2 do
  local xml, result = KEYS[key], KEYS[key + 1]
  local document, trace, failure, field, name, json, begins = unpack(ARGV, at, at + 6)
  if begins == '1' then queue() end
  entries[#entries + 1] = ''
  if task > handled then
    local same = not first_run and redis.call('GET', xml) == document
    documents[#documents + 1] = xml
    documents[#documents + 1] = document
    traced[#traced + 1] = task
    traced[#traced + 1] = trace
    if failure ~= '' then
      if not first_run then redis.call('DEL', result) end
      redis.call('HSET', group, field, failure)
      failed = failed + 1
    elseif same and redis.call('PERSIST', result) + redis.call('EXISTS', result) > 0 then
      kept = kept + 1
    else
      if not first_run then redis.call('DEL', result) end
      slice[#slice + 1] =
        {at = #entries, task = task, name = name, json = json, xml = xml, result = result}
    end
  end
  task = task + 1
  at = at + 7
end
queue()
if #documents > 0 then
  redis.call('MSET', unpack(documents))
  redis.call('HSET', traces, unpack(traced))
  redis.call('HSET', group, 'dispatched', task - 1)
  if failed > 0 then redis.call('HINCRBY', group, 'failed', failed) end
  if kept > 0 then redis.call('HINCRBY', group, 'completed', kept) end
end
return entries
