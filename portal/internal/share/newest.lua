-- Keeps the newest reading of each device, by the rule of state.Device.newer.
-- KEYS: readings, removals. ARGV: time to live in seconds, then a device and its record in turn, see record.go.
-- Returns how many were kept, and whether there were readings before (0: Redis has lost them).
local head, live, ahead = 25, 0, 5000
local ids, records = {}, {}
for i = 2, #ARGV, 2 do
  ids[#ids + 1], records[#records + 1] = ARGV[i], ARGV[i + 1]
end
local before = redis.call('EXISTS', KEYS[1])
local known = redis.call('HMGET', KEYS[1], unpack(ids))
local removed = redis.call('ZMSCORE', KEYS[2], unpack(ids))
local kept = {}
for i, record in ipairs(records) do
  local at, received, offset, late = struct.unpack('>dddB', record)
  local newer = not removed[i] or received > tonumber(removed[i])
  local old = known[i]
  if newer and old and #old > head then
    local at0, received0, offset0 = struct.unpack('>ddd', old)
    if at == at0 then
      newer = received >= received0 and record ~= old
    elseif at < at0 then
      newer = late == live and received > received0 and (offset ~= offset0 or at0 > received0 + ahead)
    end
  end
  if newer then
    kept[#kept + 1], kept[#kept + 2] = ids[i], record
  end
end
if #kept > 0 then
  redis.call('HSET', KEYS[1], unpack(kept))
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return { #kept / 2, before }
