-- Takes tokens from a bucket: the rule of gcra.rs, by the clock of Redis.
-- KEYS[1]: the bucket. ARGV: microseconds for a token, tokens of a full bucket, cost, extra.
-- Answers what was granted, in how long the bucket is full, in how long the cost can be had, and when that was.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local token, cost, extra = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local window = token * tonumber(ARGV[2])
local full_at = tonumber(redis.call('GET', KEYS[1]) or 0)
local until_full = math.min(math.max(full_at - now, 0), window)
local free = window - until_full
local price = cost * token
local granted, retry = 0, 0
if price > free then
  retry = price - free
else
  granted = cost + math.min(extra, math.floor((free - price) / token / 2))
  until_full = until_full + granted * token
end
if until_full > 0 then
  -- As an integer: Lua would write a moment in scientific notation, and lose its microseconds.
  redis.call('SET', KEYS[1], string.format('%.0f', now + until_full), 'PX', math.ceil(until_full / 1000))
end
return {granted, until_full, retry, now}
