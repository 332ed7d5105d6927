"""Requests that wait: while an exclusive component of their app is handed over, nothing could serve them.

The map says until when. A little Lua lets each request sleep and look at the map again, so those that are deleted there go
on, with the release that is live then. They go on one after the other: all at once they would overflow the listen queue of
many a program, which has room for 5 or 128. The time is HAProxy's to keep: a controller that died leaves no app closed.
Only text; the form works in every HAProxy with Lua (core.queue needs 2.8, and keeps nothing over a reload).
"""

from __future__ import annotations

from deployctl.effects.haproxy.socket import wire

SCRIPT = "queue.lua"
MOST = 5_000  # requests of one app that wait in one thread; more get 503 at once
RETRY = 5  # seconds, for Retry-After
APART = 2  # milliseconds between two requests that go on
SPREAD = 500  # milliseconds within which all of them go on

LOAD = f"  lua-load-per-thread {SCRIPT}"

# txn.app is the request's app; the gate's requests prove the successor and never wait
RULES = f"""  http-request set-var(txn.queue) var(txn.app),map_str({wire.QUEUE}) unless gate
  http-request lua.queue if {{ var(txn.queue) -m found }}
  acl waited var(txn.waited) -m found
  http-request return status 503 content-type text/plain hdr Retry-After {RETRY} string "Being upgraded.\\n" if waited"""

TEXT = f"""-- Written by deployctl. Requests of an app wait while its entry stands in {wire.QUEUE}.
-- An entry is <deadline>:<longest>, in milliseconds.
local entries = Map.new("{wire.QUEUE}", Map._str)
local waiting = {{}}  -- entry -> requests; a new entry counts from zero, whatever became of those before
local came = {{}}  -- entry -> requests that ever waited because of it

local function now()
  local time = core.now()
  return time.sec * 1000 + math.floor(time.usec / 1000)
end

-- nil where nothing waits: no entry, its time is over, or the clock was set
local function left(entry)
  local deadline, longest = string.match(entry or "", "^(%d+):(%d+)$")
  if deadline == nil then return nil end
  local rest = tonumber(deadline) - now()
  if rest <= 0 or rest > tonumber(longest) + 1000 then return nil end
  return rest
end

core.register_action("queue", {{"http-req"}}, function(txn)
  local app = txn:get_var("txn.app")
  local began = txn:get_var("txn.queue")
  if left(began) == nil then return end
  if (waiting[began] or 0) >= {MOST} then
    txn:set_var("txn.waited", 1)
    return
  end
  waiting[began] = (waiting[began] or 0) + 1
  came[began] = (came[began] or 0) + 1
  local place, entry = came[began], began
  while left(entry) ~= nil do
    core.msleep(4 + math.floor(waiting[began] / 64))
    entry = entries:lookup(app)
  end
  if entry ~= nil then
    txn:set_var("txn.waited", 1)
  else
    core.msleep(math.floor(place * math.min({APART}, {SPREAD} / came[began])))
  end
  waiting[began] = waiting[began] - 1
  if waiting[began] <= 0 then
    waiting[began] = nil
    came[began] = nil
  end
end, 0)
"""
