-- Removes devices, and remembers when they were removed, so that a portal that has not heard of it cannot
-- bring back a reading from before.
-- KEYS: readings, removals. ARGV: time to live in seconds, the time up to which removals are forgotten in
-- ms, then a device and the time of its removal in turn.
for i = 3, #ARGV, 2 do
  local id, at = ARGV[i], tonumber(ARGV[i + 1])
  local record = redis.call('HGET', KEYS[1], id)
  if record then
    local received = #record > 25 and select(2, struct.unpack('>dd', record)) or 0
    if received <= at then
      redis.call('HDEL', KEYS[1], id)
    end
  end
  if at > tonumber(ARGV[2]) then
    redis.call('ZADD', KEYS[2], 'GT', ARGV[i + 1], id)
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
