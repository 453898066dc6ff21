--- The heat map's highlight groups. A colour scheme or a user may define them: what others defined is left alone.
---
--- RiskLspBar1 to 4: the bar; links to groups that every colour scheme has.
--- RiskLspGhost, RiskLspGhost1 to 4: what the model would write.
--- RiskLspPercent: the percentage; legible in every colour scheme, which cannot be said of all colours of bars.
--- RiskLspLine1 to 4: background of a line; the bar's colour, thinned with the colour scheme's background.
local M = {}

local HAS_0_9 = vim.fn.has('nvim-0.9') == 1

local BARS = { 'Comment', 'DiagnosticInfo', 'DiagnosticWarn', 'DiagnosticError' }
local SHARE = { 0.06, 0.1, 0.15, 0.2 }

---@param name string
---@return { fg?: integer, bg?: integer }
local function colours(name)
  if HAS_0_9 then
    local found = vim.api.nvim_get_hl(0, { name = name, link = false })
    return { fg = found.fg, bg = found.bg }
  end
  local found = vim.api.nvim_get_hl_by_name(name, true)
  return { fg = found.foreground, bg = found.background }
end

---@param over integer RGB
---@param under integer RGB
---@param share number of `over`
---@return integer
local function mixed(over, under, share)
  local result = 0
  for _, unit in ipairs({ 65536, 256, 1 }) do
    local a, b = math.floor(over / unit) % 256, math.floor(under / unit) % 256
    result = result + unit * math.floor(share * a + (1 - share) * b + 0.5)
  end
  return result
end

---@param name string
---@return table
local function definition(name)
  if HAS_0_9 then
    return vim.api.nvim_get_hl(0, { name = name })
  end
  local good, found = pcall(vim.api.nvim_get_hl_by_name, name, true)
  return good and found or {}
end

-- What this module defined: `default = true` would keep a colour of ours when the colour scheme changes.
---@type table<string, table>
local mine = {}

---@param name string
---@param group table
local function set(name, group)
  local now = definition(name)
  if next(now) == nil or vim.deep_equal(now, mine[name]) then
    vim.api.nvim_set_hl(0, name, group)
    mine[name] = definition(name)
  end
end

--- Define the groups for the colour scheme in force.
function M.define()
  local background = colours('Normal').bg or (vim.o.background == 'light' and 0xffffff or 0x000000)
  set('RiskLspPercent', { link = 'Comment' })
  set('RiskLspGhost', { link = 'Comment' })
  for step, group in ipairs(BARS) do
    set('RiskLspBar' .. step, { link = group })
    set('RiskLspGhost' .. step, { link = group })
    local foreground = colours('RiskLspBar' .. step).fg
    local line = { link = 'CursorLine' }
    if vim.o.termguicolors and foreground then
      line = { bg = mixed(foreground, background, SHARE[step]) }
    end
    set('RiskLspLine' .. step, line)
  end
end

--- Define the groups now and whenever the colour scheme changes.
function M.keep_defined()
  M.define()
  vim.api.nvim_create_autocmd({ 'ColorScheme', 'OptionSet', 'VimEnter' }, {
    group = vim.api.nvim_create_augroup('risk_lsp_highlights', { clear = true }),
    callback = function(event)
      local concerns = { background = true, termguicolors = true }
      if event.event ~= 'OptionSet' or concerns[event.match] then
        M.define()
      end
    end,
  })
end

return M
