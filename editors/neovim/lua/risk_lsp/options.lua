local M = {}

---@class risk_lsp.HeatmapOptions
---@field enabled? boolean Show the heat map without being asked to.
---@field style? 'text'|'line' A bar and a percentage at the right, or the line's background as well.

---@class risk_lsp.Options
---@field cmd? string[] The server's command; by default the `risk-lsp` found on PATH.
---@field filetypes? string[]
---@field settings? table<string, boolean|number|string> The server's settings, as in its documentation.
---@field heatmap? risk_lsp.HeatmapOptions
---@field diagnostics? table For |vim.diagnostic.config()|, this server's diagnostics only.

---@type risk_lsp.Options
local DEFAULTS = {
  filetypes = { 'python' },
  settings = {},
  heatmap = { enabled = true, style = 'text' },
  -- Signs would open and close the sign column while typing; texts behind lines would say again what the heat map says.
  diagnostics = { signs = false, virtual_text = false },
}

local STYLES = { 'text', 'line' }

---@param condition boolean
---@param message string
local function check(condition, message)
  if not condition then
    error('risk_lsp: ' .. message, 0)
  end
end

---@param given table
---@param known string[]
---@param prefix string
local function check_names(given, known, prefix)
  for name in pairs(given) do
    check(
      vim.tbl_contains(known, name),
      ('unknown option %s%s; known are %s'):format(
        prefix,
        tostring(name),
        table.concat(known, ', ')
      )
    )
  end
end

---@param options table
local function check_options(options)
  check(type(options) == 'table', 'setup expects a table of options')
  check_names(options, { 'cmd', 'diagnostics', 'filetypes', 'heatmap', 'settings' }, '')
  for name, value in pairs(options) do
    check(type(value) == 'table', ('option %s expects a table'):format(name))
  end
  local cmd = options.cmd
  check(
    not cmd or type(cmd[1]) == 'string',
    "option cmd expects a list, for example { 'risk-lsp', 'serve' }"
  )
  local heatmap = options.heatmap or {}
  check_names(heatmap, { 'enabled', 'style' }, 'heatmap.')
  check(
    heatmap.enabled == nil or type(heatmap.enabled) == 'boolean',
    'option heatmap.enabled expects true or false'
  )
  check(
    heatmap.style == nil or vim.tbl_contains(STYLES, heatmap.style),
    'option heatmap.style expects one of ' .. table.concat(STYLES, ', ')
  )
end

--- The options in force.
---@type risk_lsp.Options
M.current = vim.deepcopy(DEFAULTS)

--- Put a user's options in force. Raises an error that names the option that is wrong.
---@param given? risk_lsp.Options
function M.set(given)
  check_options(given or {})
  M.current = vim.tbl_deep_extend('force', vim.deepcopy(DEFAULTS), given or {})
end

return M
