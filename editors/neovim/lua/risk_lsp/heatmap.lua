--- The heat map: how likely each line is to need an edit, in four steps that the server decides.
local M = {}

local lines = require('risk_lsp.lines')
local options = require('risk_lsp.options')

M.NAMESPACE = vim.api.nvim_create_namespace('risk_lsp_heatmap')

-- A step is told by the bar's height as well as by colour.
local BARS = { '▁', '▃', '▅', '▇' }

-- 'right_align' is drawn over long lines, so it is for Neovims that know nothing better.
local PLACE = vim.fn.has('nvim-0.11') == 1 and 'eol_right_align' or 'right_align'

local HAS_0_10 = vim.fn.has('nvim-0.10') == 1

local is_shown = false

---@param step integer
---@param label string
---@param line string
---@return table
local function mark(step, label, line)
  local bar = { BARS[step], 'RiskLspBar' .. step }
  local percentage = { (' %4s '):format(label), 'RiskLspPercent' }
  return {
    end_col = #line,
    invalidate = HAS_0_10 and true or nil, -- a deleted line takes its mark along
    virt_text = { bar, percentage },
    virt_text_pos = PLACE,
    hl_mode = 'combine',
    line_hl_group = options.current.heatmap.style == 'line' and 'RiskLspLine' .. step or nil,
  }
end

---@param bufnr integer
---@param found? risk_lsp.Lines
local function draw(bufnr, found)
  if not vim.api.nvim_buf_is_loaded(bufnr) then
    return
  end
  vim.api.nvim_buf_clear_namespace(bufnr, M.NAMESPACE, 0, -1)
  if not found or not is_shown then
    return
  end
  local texts = vim.api.nvim_buf_get_lines(bufnr, 0, -1, false)
  for number in ipairs(found.lines) do
    local step, label = found.steps[number] or 0, lines.label(found, number)
    if step > 0 and label and texts[number] then
      local details = mark(step, label, texts[number])
      vim.api.nvim_buf_set_extmark(bufnr, M.NAMESPACE, number - 1, 0, details)
    end
  end
end

---@return boolean
function M.is_shown()
  return is_shown
end

--- Show or hide the heat map in all buffers.
---@param shown boolean
function M.show(shown)
  is_shown = shown
  for bufnr in pairs(require('risk_lsp.lifecycle').attached()) do
    draw(bufnr, lines.get(bufnr))
    if shown then
      lines.refresh(bufnr)
    end
  end
end

--- Choose how it looks, and show it.
---@param style 'text'|'line'
function M.set_style(style)
  options.current.heatmap.style = style
  M.show(true)
end

lines.listen(M.is_shown, draw)

return M
