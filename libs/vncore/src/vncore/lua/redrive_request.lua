#!lua
-- redrive_request: begin a new run of a request that ended failed, partial or cancelled. Groups are
-- kept up to the first that is not complete without failures; from there on they are opened again,
-- with their results, which `dispatch_tasks` keeps where they are still right.
--   KEYS 1 state      hash
--        2 response   string  deleted
--        3 failure    string  deleted
--        4 ingest     stream
--        5 lifecycle  stream
--        then xml, metadata, hydrated and idempotency: kept until the next end;
--        then the groups' hashes: likewise
--   ARGV 1 run that has ended   2 token of this call   3 deadline of the new run (ms), '' for none
--        4 which of KEYS is the first group's   5 lifecycle length to keep
--        6 number n of ingest arguments, then the n ingest arguments and the lifecycle arguments
--   returns the number of the new run, also when this very call is repeated; 0 when there is
--           nothing to redrive: the request is unknown, still runs, has succeeded, or is in
--           another run already
local state, response, failure, ingest, lifecycle = unpack(KEYS, 1, 5)
local run, token, deadline, first_group = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local status, completed_at, current_run, redriven_by =
  unpack(redis.call('HMGET', state, 'status', 'completedAt', 'run', 'redrivenBy'))
if redriven_by == token then return tonumber(current_run) end
if not completed_at or status == 'succeeded' or (current_run or '1') ~= run then return 0 end

redis.call('DEL', response, failure)
redis.call('PERSIST', state)
for key = 6, #KEYS do redis.call('PERSIST', KEYS[key]) end
local reopen = false
for key = first_group, #KEYS do
  local group = KEYS[key]
  local group_status, failed = unpack(redis.call('HMGET', group, 'status', 'failed'))
  if group_status then
    reopen = reopen or group_status ~= 'completed' or failed ~= '0'
    if reopen then
      for _, field in ipairs(redis.call('HKEYS', group)) do
        local kind = string.match(field, '^%a+:')
        if kind == 'retry:' or kind == 'failure:' or kind == 'done:' then
          redis.call('HDEL', group, field)
        end
      end
      redis.call('HSET', group, 'status', 'reopened', 'completed', 0, 'failed', 0, 'dispatched', 0)
    end
  end
end

redis.call('HDEL', state, 'completedAt', 'startedAt', 'currentGroup', 'deadlineAt')
if deadline ~= '' then redis.call('HSET', state, 'deadlineAt', deadline) end
redis.call('HINCRBY', state, 'epoch', 1)
local last_ingest = 6 + tonumber(ARGV[6])
local entry = redis.call('XADD', ingest, '*', unpack(ARGV, 7, last_ingest))
redis.call('HSET', state, 'status', 'received', 'ingestEntry', entry, 'retryCount', 0,
  'redrivenBy', token)
redis.call('XADD', lifecycle, 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, last_ingest + 1))
return redis.call('HINCRBY', state, 'run', 1)
