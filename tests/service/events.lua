-- For wrk: posts batches of events whose ids no other request has.
-- Arguments after `--`: a prefix for the ids, events per request, bytes in each symbol, pause before a request in ms.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  prefix, batch, pause = args[1], tonumber(args[2]), tonumber(args[4])
  rest = ('","exchange":"wrk","symbol":"%s","price":1.5,"size":2,"ts_ms":1}'):format(("S"):rep(tonumber(args[3])))
  sent = 0
end

function delay()
  return pause
end

function request()
  local events = {}
  for i = 1, batch do
    sent = sent + 1
    events[i] = ('{"id":"%s-%d-%d'):format(prefix, number, sent) .. rest
  end
  return wrk.format("POST", "/events", nil, "[" .. table.concat(events, ",") .. "]")
end

function done(summary)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(("completed %d failed %d\n"):format(summary.requests, failed))
end
