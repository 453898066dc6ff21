--- What the server last said about itself (`riskLsp/status`).
local M = {}

---@class risk_lsp.State
---@field state 'none'|'starting'|'ready'|'analysing'|'paused'|'failed'|'off'
---@field message string one sentence for people
---@field bundle? string the model in use
---@field until_time? number end of a snooze, seconds since the epoch
---@field version? string the server's

---@type risk_lsp.State
local NONE = { state = 'none', message = 'the server is not running' }

M.current = NONE

-- While one of these lasts, numbers are not shown.
local HIDING = { none = true, starting = true, paused = true, failed = true, off = true }

---@param now risk_lsp.State
local function change(now)
  local was = M.current
  M.current = now
  if HIDING[now.state] and not HIDING[was.state] then
    require('risk_lsp.lines').forget_all()
  elseif HIDING[was.state] and not HIDING[now.state] then
    require('risk_lsp.lines').refresh_all()
  end
  vim.cmd('redrawstatus!')
end

--- The server's process was started.
---@param version? string
function M.started(version)
  change({ state = 'starting', message = 'the model is loading', version = version })
end

--- The server's process is gone.
---@param why? string
function M.stopped(why)
  change(why and { state = 'failed', message = why } or NONE)
end

--- Numbers arrived: a server that never says so is ready, too.
function M.seen_numbers()
  if M.current.state == 'starting' then
    change({ state = 'ready', message = 'ready', version = M.current.version })
  end
end

--- Handler of `riskLsp/status`.
---@param status { state: string, message: string, bundle?: string, until?: number }
function M.reported(status)
  local function given(value)
    return value ~= vim.NIL and value or nil
  end
  change({
    state = status.state,
    message = status.message,
    bundle = given(status.bundle),
    until_time = given(status['until']),
    version = M.current.version,
  })
end

return M
