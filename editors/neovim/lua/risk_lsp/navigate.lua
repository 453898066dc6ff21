--- From one risky line to the next: the lines that the server's diagnostics show.
local M = {}

local message = require('risk_lsp.message')

---@param bufnr integer
---@return integer[] from 1, ascending
local function risky_lines(bufnr)
  local seen, found = {}, {}
  for _, diagnostic in ipairs(vim.diagnostic.get(bufnr)) do
    local line = diagnostic.lnum + 1
    if diagnostic.source == 'risk-lsp' and not seen[line] then
      seen[line] = true
      table.insert(found, line)
    end
  end
  table.sort(found)
  return found
end

--- Move the cursor `count` risky lines on (or back, if negative), around the end of the buffer.
---@param count integer
function M.jump(count)
  local found = risky_lines(0)
  if #found == 0 then
    message.info('no risky lines here')
    return
  end
  local here = vim.api.nvim_win_get_cursor(0)[1]
  local before, at = 0, 0 -- risky lines above the cursor, and at it
  for _, line in ipairs(found) do
    before = before + (line < here and 1 or 0)
    at = at + (line == here and 1 or 0)
  end
  local place = count > 0 and before + at + count or before + 1 + count
  local line = found[(place - 1) % #found + 1]
  local indent = vim.fn.indent(line) >= 0 and #vim.fn.getline(line):match('^%s*') or 0
  vim.cmd("normal! m'")
  vim.api.nvim_win_set_cursor(0, { line, indent })
  vim.cmd('normal! zv')
end

return M
