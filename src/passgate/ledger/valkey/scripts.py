"""The two scripts that the server runs: one greets an owner, one does all that a batch asks for.

Each runs alone and whole, so charges are taken all or none. Payloads and answers are MessagePack.
Numbers stay below 2^53, which Lua's doubles hold exactly.
"""

from hashlib import sha1
from typing import Final


class Script:
    """A script's text, and the digest that the server knows it by once it has seen it."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()  # Redis names it so


_NOW: Final = """
local P = cmsgpack.unpack(ARGV[1])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function whole(n) return string.format('%.0f', n) end
"""

# KEYS: meta, owners, missing, index of the owner.
# P: owner, run id, the epoch it remembers, a new one in case, the owners it remembers.
# owners: name -> "<mark>:<seen ms>". What an earlier connection of an owner still has under way is
# refused by its lower mark. missing: owners whose spending the counters may lack.
HELLO: Final = Script(
    _NOW
    + """
local owner, run, remembered, fresh, known = P[1], P[2], P[3], P[4], P[5]
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'run')
local owners, newest = {}, 0
local flat = redis.call('HGETALL', KEYS[2])
for n = 1, #flat, 2 do
  local mark, seen = string.match(flat[n + 1], '^(%d+):(%d+)$')
  owners[flat[n]] = { tonumber(mark), tonumber(seen) }
  newest = math.max(newest, tonumber(seen))
end
local epoch, why = meta[1], ''
if not epoch then
  epoch = fresh
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', run, 'since', whole(now))
  if remembered ~= '' then
    why = 'emptied'
    for _, name in ipairs(known) do redis.call('SADD', KEYS[3], name) end
    redis.call('SADD', KEYS[3], owner)
  end
elseif remembered ~= '' and remembered ~= epoch then
  why = 'emptied'
  redis.call('HSET', KEYS[1], 'run', run, 'since', whole(now))
  for _, name in ipairs(known) do
    if not owners[name] then redis.call('SADD', KEYS[3], name) end
  end
  redis.call('SADD', KEYS[3], owner)
elseif meta[2] ~= run then
  why = 'restarted'
  redis.call('HSET', KEYS[1], 'run', run, 'since', whole(now))
  for name, row in pairs(owners) do
    if row[2] >= newest - 60000 then redis.call('SADD', KEYS[3], name) end
  end
end
local mark = now * 1000 + t[2] % 1000
if owners[owner] and owners[owner][1] >= mark then mark = owners[owner][1] + 1 end
redis.call('HSET', KEYS[2], owner, whole(mark) .. ':' .. whole(now))
owners[owner] = { mark, now }
local names = {}
for name, row in pairs(owners) do
  if row[2] < now - 3456000000 and redis.call('SISMEMBER', KEYS[3], name) == 0 then
    redis.call('HDEL', KEYS[2], name)
  else
    names[#names + 1] = name
  end
end
return cmsgpack.pack({ now, epoch, whole(mark), why,
  redis.call('SISMEMBER', KEYS[3], owner), redis.call('SCARD', KEYS[3]), names,
  redis.call('SMEMBERS', KEYS[4]) })
"""
)

# KEYS: as above, then every key that P refers to by its place.
# P: owner, mark, epoch, 1 when everything spent has been told, 1 when it leaves for good,
#    gives {key, field, amount, 1 where no lease is left},
#    syncs {key, type, {field, value, ...}, end ms or 0, 1 where no lease is left},
#    asks {{{key, type, a, b, need, lease or -1, limit, 1: money, 2: free}, ...}, operation or 0,
#    its digest, how long it is remembered in ms}, ends {operation's key, 1 where it was sent}.
# a, b: SLIDING the length in ms; CALENDAR start and end in ms, 0 for none; CONCURRENT the time
# after which an unseen owner is gone.
# Answers per ask: {1, {granted, used, bucket, reset ms} ...} taken; {0, place, used, wait ms or -1}
# does not fit; {2, place} not known until those who are missing have told; {3, place} the window
# has ended; {4} the operation was another request; {5, ...} as 1, but it is charged already, so no
# money was taken. A first row that is free is taken where it fits, and then no money is; where it
# does not, 0 of it is granted. Answers per end: 1 where the operation is forgotten and its money
# may come back, 0 where it was sent or, meanwhile, taken for charged.
BATCH: Final = Script(
    _NOW
    + """
local owner, done, leaves, gives, syncs, asks, ends = P[1], P[4], P[5], P[6], P[7], P[8], P[9]
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'since')
if meta[1] ~= P[3] then return cmsgpack.pack({ 'epoch' }) end
local seen = redis.call('HGET', KEYS[2], owner)
if not seen or string.match(seen, '^%d+') ~= P[2] then return cmsgpack.pack({ 'fenced' }) end
redis.call('HSET', KEYS[2], owner, P[2] .. ':' .. whole(now))
local mine = ':' .. owner

for _, g in ipairs(gives) do
  local key, field = KEYS[g[1]], g[2]
  local held = tonumber(redis.call('HGET', key, field) or '0')
  if g[3] == 0 then
    -- Nothing comes back; only that no lease is left.
  elseif held > g[3] then
    redis.call('HINCRBY', key, field, whole(-g[3]))
  elseif held > 0 then
    redis.call('HDEL', key, field)
  end
  if g[4] == 1 then redis.call('SREM', KEYS[4], key) end
end

for _, s in ipairs(syncs) do
  local key = KEYS[s[1]]
  if s[2] == 0 then
    for _, field in ipairs(redis.call('HKEYS', key)) do
      if string.sub(field, -#mine) == mine then redis.call('HDEL', key, field) end
    end
  else
    redis.call('HDEL', key, owner)
  end
  for n = 1, #s[3], 2 do redis.call('HSET', key, s[3][n], whole(s[3][n + 1])) end
  if s[4] > 0 then redis.call('PEXPIREAT', key, whole(s[4])) end
  if s[5] == 1 then redis.call('SREM', KEYS[4], key) else redis.call('SADD', KEYS[4], key) end
end

local ended = {}
for n, e in ipairs(ends) do
  local key = KEYS[e[1]]
  ended[n] = 0
  if e[2] == 1 then
    if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, 'charged', '1') end
  elseif redis.call('HGET', key, 'charged') ~= '1' then
    redis.call('DEL', key)
    ended[n] = 1
  end
end

if done == 1 then redis.call('SREM', KEYS[3], owner) end
local missing, since = redis.call('SCARD', KEYS[3]), tonumber(meta[2])

local alive
local function lives(name)
  if not alive then
    alive = {}
    local flat = redis.call('HGETALL', KEYS[2])
    for n = 1, #flat, 2 do
      alive[flat[n]] = tonumber(string.match(flat[n + 1], ':(%d+)$'))
    end
  end
  return alive[name] and alive[name] >= now - 15000
end

local states = {}
local function state_of(c)
  local state = states[c[1]]
  if state then return state end
  local key = KEYS[c[1]]
  local flat = redis.call('HGETALL', key)
  state = { used = 0, hold = 0, buckets = {} }
  for n = 1, #flat, 2 do
    local amount = tonumber(flat[n + 1])
    if c[2] == 0 then
      local bucket = tonumber(string.match(flat[n], '^%d+'))
      if bucket < math.floor(now * 60 / c[3]) - 60 then
        redis.call('HDEL', key, flat[n])
      else
        state.used = state.used + amount
        state.buckets[bucket] = (state.buckets[bucket] or 0) + amount
      end
    elseif c[2] == 2 and flat[n] ~= owner and not lives(flat[n]) then
      redis.call('HDEL', key, flat[n])
    else
      state.used = state.used + amount
    end
  end
  states[c[1]] = state
  return state
end

local function known(c)
  if missing == 0 then return true end
  if c[2] == 0 then return now - c[3] * 61 / 60 > since end
  if c[2] == 1 then return c[4] > 0 and c[3] > since end
  return now - since > c[3]
end

local function wait(c, state)
  if c[5] > c[7] then return -1 end
  if c[2] == 1 then return c[4] > 0 and c[4] - now or -1 end
  if c[2] == 2 then return 1000 end
  local excess, order = state.used + state.hold + c[5] - c[7], {}
  for bucket in pairs(state.buckets) do order[#order + 1] = bucket end
  table.sort(order)
  local last = math.floor(now * 60 / c[3])
  for _, bucket in ipairs(order) do
    last = bucket
    excess = excess - state.buckets[bucket]
    if excess <= 0 then break end
  end
  return math.max(1, math.ceil((last + 61) * c[3] / 60) - now)
end

local function put(c, state, field, amount)
  if amount == 0 then return end
  redis.call('HINCRBY', KEYS[c[1]], field, whole(amount))
  state.used = state.used + amount
end

local function take(c)
  local key, state = KEYS[c[1]], state_of(c)
  local left = c[7] - state.used
  local size = c[6]
  if size < 0 then size = math.floor(left / 50) end
  local granted = math.max(c[5], math.min(size, left))
  if c[2] == 0 then
    local bucket = math.floor(now * 60 / c[3])
    put(c, state, whole(bucket) .. mine, c[5])
    state.buckets[bucket] = (state.buckets[bucket] or 0) + c[5]
    if granted > c[5] then
      local extra = granted - c[5]
      put(c, state, whole(bucket + 1) .. mine, extra)
      state.buckets[bucket + 1] = (state.buckets[bucket + 1] or 0) + extra
    end
    redis.call('PEXPIRE', key, whole(c[3] + math.ceil(c[3] / 20) + 60000))
    local newest = bucket
    for number in pairs(state.buckets) do newest = math.max(newest, number) end
    return { granted, state.used, bucket, math.ceil((newest + 61) * c[3] / 60) }
  end
  put(c, state, owner, granted)
  if granted > c[5] and c[2] == 1 then redis.call('SADD', KEYS[4], key) end
  if c[2] == 2 then
    redis.call('PEXPIRE', key, '2592000000')
  elseif c[4] > 0 then
    redis.call('PEXPIREAT', key, whole(c[4] + 86400000))
  end
  return { granted, state.used, 0, c[2] == 1 and c[4] or 0 }
end

local answers = {}
for a, ask in ipairs(asks) do
  local charges, operation, answer, repeated = ask[1], KEYS[ask[2]], nil, false
  local gratis = false
  if operation then
    local digest = redis.call('HGET', operation, 'digest')
    if digest and digest ~= ask[3] then answer = { 4 } end
    repeated = digest == ask[3]
  end
  if answer then charges = {} end
  for place, c in ipairs(charges) do
    if c[2] == 1 and c[4] > 0 and (now < c[3] or now >= c[4]) then
      answer = { 3, place - 1 }
      break
    end
    if c[8] == 2 then
      gratis = not repeated and state_of(c).used + c[5] <= c[7]
      if not gratis then c[5], c[6] = 0, 0 end
    elseif c[8] == 1 and (repeated or gratis) then
      c[5], c[6] = 0, 0
    end
    if not known(c) then
      answer = { 2, place - 1 }
      break
    end
    local state = state_of(c)
    if state.used + state.hold + c[5] > c[7] then
      answer = { 0, place - 1, state.used, wait(c, state) }
      break
    end
    state.hold = state.hold + c[5]
  end
  for _, c in ipairs(charges) do
    if states[c[1]] then states[c[1]].hold = 0 end
  end
  if not answer then
    answer = { repeated and 5 or 1 }
    if operation then
      if repeated then
        redis.call('HSET', operation, 'charged', '1')
      else
        redis.call('HSET', operation, 'digest', ask[3])
        redis.call('PEXPIRE', operation, whole(ask[4]))
      end
    end
    for place, c in ipairs(charges) do answer[place + 1] = take(c) end
  end
  answers[a] = answer
end
if leaves == 1 then
  redis.call('HDEL', KEYS[2], owner)
  redis.call('DEL', KEYS[4])
end
lives(owner)
local gates, names = 0, {}
for name in pairs(alive) do
  names[#names + 1] = name
  if lives(name) then gates = gates + 1 end
end
return cmsgpack.pack({ 'ok', now, missing, gates, names, answers, ended })
"""
)
