-- Sends 16 requests at a time over each connection:
--
--     wrk -t1 -c64 -d10 -s benches/pipeline.lua http://127.0.0.1:3000/plaintext

local depth = 16
local batch

function init()
   batch = string.rep(wrk.format("GET"), depth)
end

function request()
   return batch
end
