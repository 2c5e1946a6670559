#!lua flags=allow-oom
-- put_off_tasks: move tasks that were not begun from a worker's entry into one of their own, for
-- anybody to take. Their attempt does not count, and neither does the delivery.
--   KEYS 1 state     hash
--        2 group     hash
--        3 dispatch  stream
--   ARGV 1 workers group   2 worker   3 dispatch entry id   4 run   5 number of tasks in the entry
--        6 field of the group that lists tasks of the entry that are settled or moved
--        7 number n of tasks to move, then their numbers, then the arguments of the new entry
--   returns the new entry's id; '' when nothing was moved: the entry is in other hands or gone, the
--           request is over, or this very call was made before
local state, group, dispatch = unpack(KEYS)
local workers, worker, entry, run, total, field, count = unpack(ARGV, 1, 7)
local status, completed_at, current_run =
  unpack(redis.call('HMGET', state, 'status', 'completedAt', 'run'))
if not status or completed_at or (current_run or '1') ~= run then return '' end
local pending = redis.call('XPENDING', dispatch, workers, entry, entry, 1)[1]
if not pending or pending[2] ~= worker then return '' end
local list, last = redis.call('HGET', group, field) or ',', 7 + tonumber(count)
for at = 8, last do
  if string.find(list, ',' .. ARGV[at] .. ',', 1, true) then return '' end
end
local moved = redis.call('XADD', dispatch, '*', unpack(ARGV, last + 1))
list = list .. table.concat(ARGV, ',', 8, last) .. ','
local _, gone = string.gsub(list, '%d+', '')
if gone >= tonumber(total) then
  redis.call('HDEL', group, field)
  redis.call('XACK', dispatch, workers, entry)
  redis.call('XDEL', dispatch, entry)
else
  redis.call('HSET', group, field, list)
end
return moved
