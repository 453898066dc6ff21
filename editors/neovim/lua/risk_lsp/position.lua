--- From Neovim's positions (lines from 1, bytes) to the protocol's (lines from 0, units of the negotiated encoding).
local M = {}

local HAS_0_11 = vim.fn.has('nvim-0.11') == 1

---@class risk_lsp.Range
---@field start { line: integer, character: integer }
---@field end { line: integer, character: integer }

---@param line string
---@param byte integer bytes before the position
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return integer
function M.character(line, byte, encoding)
  byte = math.min(byte, #line)
  if encoding == 'utf-8' then
    return byte
  end
  if HAS_0_11 then
    return vim.str_utfindex(line, encoding, byte)
  end
  local utf32, utf16 = vim.str_utfindex(line, byte)
  return encoding == 'utf-16' and utf16 or utf32
end

---@param bufnr integer
---@param number integer from 1
---@return string
local function text_of(bufnr, number)
  return vim.api.nvim_buf_get_lines(bufnr, number - 1, number, false)[1] or ''
end

--- The range of whole lines, without the last one's line break.
---@param bufnr integer
---@param first integer
---@param last integer
---@param encoding string
---@return risk_lsp.Range
function M.of_lines(bufnr, first, last, encoding)
  local final = text_of(bufnr, last)
  return {
    start = { line = first - 1, character = 0 },
    ['end'] = { line = last - 1, character = M.character(final, #final, encoding) },
  }
end

--- The range between two positions of |getpos()|, in any order. The character at the later one is part of it, with its
--- combining marks, as it is in a selection.
---@param bufnr integer
---@param one integer[]
---@param other integer[]
---@param encoding string
---@return risk_lsp.Range
function M.between(bufnr, one, other, encoding)
  if one[2] > other[2] or (one[2] == other[2] and one[3] > other[3]) then
    one, other = other, one
  end
  local final = text_of(bufnr, other[2])
  local last_byte = math.min(other[3] - 1, #final)
  if vim.o.selection ~= 'exclusive' then
    last_byte = last_byte + #vim.fn.matchstr(final, '.', last_byte)
  end
  local first = M.character(text_of(bufnr, one[2]), one[3] - 1, encoding)
  return {
    start = { line = one[2] - 1, character = first },
    ['end'] = { line = other[2] - 1, character = M.character(final, last_byte, encoding) },
  }
end

return M
