-- Publishes who is at one portal, and returns who is at the others.
-- KEYS: operators by portal. ARGV: the portal, its operators, how long they count in ms.
-- By the clock of Redis alone: those of portals differ.
local time = redis.call('TIME')
local now, valid = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local all, others = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local at, list = string.match(all[i + 1], '^(%d+) (.*)$')
  if not at or now - tonumber(at) > valid then
    redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] ~= ARGV[1] then
    others[#others + 1] = list
  end
end
return others
