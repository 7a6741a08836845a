-- Sends the requests in a file, byte for byte, and prints the figures as JSON:
--
--     wrk -t1 -c64 -d10 -s drive.lua http://127.0.0.1:3000 -- FILE
--
-- Requests that are divided by a zero byte are sent in turn. A file without one is sent again and again, and that costs
-- wrk no call into Lua; it may hold several requests, which are then pipelined.

function init(args)
   local file = assert(io.open(args[1], "rb"))
   local requests = {}
   for text in file:read("*a"):gmatch("[^%z]+") do
      requests[#requests + 1] = text
   end
   file:close()

   if #requests == 1 then
      wrk.format = function() return requests[1] end
      return
   end
   local last = 0
   request = function()
      last = last % #requests + 1
      return requests[last]
   end
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '\nfigures {"requests": %d, "duration_us": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, "max_us": %d, '
         .. '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
      summary.requests, summary.duration, summary.bytes,
      latency:percentile(50), latency:percentile(99), latency.max,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
