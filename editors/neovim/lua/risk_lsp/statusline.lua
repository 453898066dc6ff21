--- A few characters for a status line. Cheap: it reads what is known and asks the server in the background.
local M = {}

local client = require('risk_lsp.client')
local lines = require('risk_lsp.lines')
local progress = require('risk_lsp.progress')
local selection = require('risk_lsp.selection')
local state = require('risk_lsp.state')

local is_used = false

---@class risk_lsp.AskedSelection
---@field key string
---@field label? string

---@type risk_lsp.AskedSelection
local asked = { key = '' }
local is_asking = false

local function redraw()
  vim.cmd('redrawstatus')
end

--- One question at a time; the selection that there is when its answer comes is asked about next. A text that is not scored
--- yet is not asked about: that would have it scored before its quiet period is over.
---@param bufnr integer
---@return string?
local function of_selection(bufnr)
  local range = selection.selected(bufnr)
  if not range then
    return
  end
  local from, to = range.start, range['end']
  local numbers = { bufnr, client.version(bufnr), from.line, from.character, to.line, to.character }
  local key = table.concat(numbers, ' ')
  if key == asked.key then
    return asked.label
  end
  if not is_asking and lines.is_current(bufnr) then
    is_asking = true
    asked = { key = key }
    local mine = asked
    is_asking = selection.query(bufnr, range, function(_, label)
      is_asking = false
      mine.label = label
      redraw()
    end)
  end
end

---@param bufnr integer
---@return string?
local function of_cursor_line(bufnr)
  if lines.is_current(bufnr) then
    return lines.label(lines.get(bufnr), vim.api.nvim_win_get_cursor(0)[1])
  end
end

--- While a status line is drawn, only the current window's selection counts.
---@return boolean
local function is_current_window()
  local current = tonumber(vim.g.actual_curwin)
  return current == nil or current == vim.api.nvim_get_current_win()
end

--- "risk 41%", or "risk 1st": the selection's number, or else the cursor line's; "risk starting" and the like when there is none;
--- empty where the server does not work.
---@return string
function M.text()
  local bufnr = vim.api.nvim_get_current_buf()
  if not require('risk_lsp.lifecycle').attached()[bufnr] then
    return ''
  end
  if not is_used then
    is_used = true
    lines.refresh(bufnr)
  end
  if progress.is_repairing() then
    return 'risk repairing'
  end
  local now = state.current.state
  if now == 'ready' or now == 'analysing' then
    local is_selecting = is_current_window()
      and vim.api.nvim_get_mode().mode:find('^[vV\22]') ~= nil
    local label
    if is_selecting and client.get(bufnr) then
      label = of_selection(bufnr)
    else
      label = of_cursor_line(bufnr)
    end
    return 'risk ' .. (label or '…')
  end
  return 'risk ' .. now
end

lines.listen(function()
  return is_used
end, redraw)

return M
