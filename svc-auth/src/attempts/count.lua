-- Counts attempts: the rules of rule.rs, for all keys of an attempt at once.
-- KEYS: what is held to a rule. ARGV: `take`, `succeed` or `withdraw`, and the moment; then for each key the five of
-- `ladder`, free failures, longest wait, when failures are forgotten, the failure that was counted; or
-- `allowance`, failures at once, time for one more, 0, 0. All times in milliseconds.
-- Answers how long to wait, 0 if the attempt was counted; then for each key its failures and until when it is held up.
local verb, now = ARGV[1], tonumber(ARGV[2])

local function step(key)
  if key.failures < key.size then return 0 end
  return math.min(key.span, 1000 * 2 ^ (key.failures - key.size))
end

local function read(place)
  local first = 3 + (place - 1) * 5
  local stored = redis.call('HMGET', KEYS[place], 'failures', 'until')
  return {
    name = KEYS[place],
    is_ladder = ARGV[first] == 'ladder',
    size = tonumber(ARGV[first + 1]),
    span = tonumber(ARGV[first + 2]),
    kept = tonumber(ARGV[first + 3]),
    counted = tonumber(ARGV[first + 4]),
    failures = tonumber(stored[1] or 0),
    held = tonumber(stored[2] or 0),
  }
end

local function wait(key)
  local left = math.max(key.held - now, 0)
  if key.is_ladder then return math.min(left, step(key)) end
  local window = key.size * key.span
  return math.max(key.span - (window - math.min(left, window)), 0)
end

local function count(key)
  if key.is_ladder then
    key.failures = math.min(key.failures + 1, 4294967295)
    local pause = step(key)
    key.held = pause > 0 and now + pause or 0
  else
    local window = key.size * key.span
    key.held = now + math.min(math.max(key.held - now, 0), window) + key.span
    key.kept = key.held - now
  end
end

local function withdraw(key)
  if not key.is_ladder then
    key.held = math.max(key.held - key.span, 0)
    key.kept = key.held - now
    return
  end
  if key.failures == key.counted then key.held = 0 end
  key.failures = math.max(key.failures - 1, 0)
end

local function succeed(key)
  if key.is_ladder then
    key.failures, key.held = 0, 0
  else
    withdraw(key)
  end
end

local function store(key)
  if (key.failures == 0 and key.held <= now) or key.kept <= 0 then
    redis.call('DEL', key.name)
  else
    -- As an integer: Lua would write a moment in scientific notation.
    redis.call('HSET', key.name, 'failures', key.failures, 'until', string.format('%.0f', key.held))
    redis.call('PEXPIRE', key.name, math.ceil(key.kept))
  end
end

local keys, longest = {}, 0
for place = 1, #KEYS do
  keys[place] = read(place)
  longest = math.max(longest, wait(keys[place]))
end
local change = ({take = count, succeed = succeed, withdraw = withdraw})[verb]
local answer = {0}
if verb == 'take' then answer[1] = longest end
for _, key in ipairs(keys) do
  if verb ~= 'take' or longest == 0 then
    change(key)
    store(key)
  end
  table.insert(answer, key.failures)
  table.insert(answer, key.held)
end
return answer
