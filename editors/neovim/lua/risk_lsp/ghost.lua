--- Ghost text: what the model would write at the cursor, tinted by risk, with words beside it.
--- The setting inlineCompletion turns it on.
local M = {}

local client = require('risk_lsp.client')
local options = require('risk_lsp.options')
local position = require('risk_lsp.position')

M.NAMESPACE = vim.api.nvim_create_namespace('risk_lsp_ghost')

local GROUP = vim.api.nvim_create_augroup('risk_lsp_ghost', { clear = true })
local PLACE = vim.fn.has('nvim-0.10') == 1 and 'inline' or 'overlay'
local BEFORE_HEAT = 100 -- lower than any mark without a priority, so drawn first
local DELAY = 250 -- milliseconds without a key
local INVOKED, AUTOMATIC = 1, 2 -- the protocol's kinds of triggers

---@class risk_lsp.Ghost
---@field bufnr integer
---@field row integer where the text begins, from 0
---@field column integer bytes
---@field items table[] of the protocol
---@field index integer of the one that is shown

---@type risk_lsp.Ghost?
local ghost
local asked = 0 -- requests so far: an answer to an older one is dropped

--- Whether text comes by itself; from 0.12 on Neovim can show it itself.
---@return boolean
local function is_on()
  local own = vim.lsp.inline_completion
  return options.current.settings.inlineCompletion == true
    and not (own and own.is_enabled({ bufnr = 0 }))
end

---@return integer row from 0
---@return integer column bytes
local function cursor()
  local place = vim.api.nvim_win_get_cursor(0)
  return place[1] - 1, place[2]
end

--- What is left of the shown text behind the cursor, and how many of its lines are typed already;
--- nil if something else was typed.
---@return string? rest
---@return integer lines
local function rest()
  if not ghost or vim.api.nvim_get_current_buf() ~= ghost.bufnr then
    return nil, 0
  end
  local row, column = cursor()
  if row < ghost.row or (row == ghost.row and column < ghost.column) then
    return nil, 0
  end
  local get_text = vim.api.nvim_buf_get_text
  local good, typed = pcall(get_text, ghost.bufnr, ghost.row, ghost.column, row, column, {})
  local text = ghost.items[ghost.index].insertText
  local whole = good and table.concat(typed, '\n')
  if not whole or not vim.startswith(text, whole) or #whole == #text then
    return nil, 0
  end
  return text:sub(#whole + 1), #typed - 1
end

---@param bufnr integer
local function clear(bufnr)
  if vim.api.nvim_buf_is_valid(bufnr) then
    vim.api.nvim_buf_clear_namespace(bufnr, M.NAMESPACE, 0, -1)
  end
end

--- Take the text from the screen, and drop what is still being written.
function M.dismiss()
  asked = asked + 1
  if ghost then
    clear(ghost.bufnr)
    ghost = nil
  end
end

--- The highlight group of each line of an item, from 0.
---@param said table what the server says of the item
---@return table<integer, string>
local function groups(said)
  local found = setmetatable({}, {
    __index = function()
      return 'RiskLspGhost'
    end,
  })
  for _, line in ipairs(said.lines) do
    if line.step > 0 then
      found[line.start.line] = 'RiskLspGhost' .. line.step
    end
  end
  return found
end

local function draw()
  local left, first = rest()
  if not left then
    M.dismiss()
    return
  end
  clear(ghost.bufnr)
  local said = ghost.items[ghost.index].command.arguments[3]
  local group = groups(said)
  local chunks = {}
  for number, line in ipairs(vim.split(left, '\n', { plain = true })) do
    table.insert(chunks, { { line, group[first + number - 1] } })
  end
  local row, column = cursor()
  vim.api.nvim_buf_set_extmark(ghost.bufnr, M.NAMESPACE, row, column, {
    virt_text = table.remove(chunks, 1),
    virt_text_pos = PLACE,
    virt_lines = #chunks > 0 and chunks or nil,
    hl_mode = 'combine',
  })
  vim.api.nvim_buf_set_extmark(ghost.bufnr, M.NAMESPACE, row, 0, {
    virt_text = { { '  ' .. said.words, 'RiskLspPercent' } },
    virt_text_pos = 'eol',
    priority = BEFORE_HEAT, -- what is aligned to the right takes the rest of the line
  })
end

---@param kind integer
---@param on_shown? fun()
local function ask(kind, on_shown)
  local bufnr = vim.api.nvim_get_current_buf()
  local running = client.get(bufnr)
  if not running then
    return
  end
  asked = asked + 1
  local number, row, column = asked, cursor()
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ''
  local params = {
    textDocument = { uri = vim.uri_from_bufnr(bufnr) },
    position = {
      line = row,
      character = position.character(line, column, running.offset_encoding),
    },
    context = { triggerKind = kind },
  }
  local tick = vim.api.nvim_buf_get_changedtick(bufnr)
  client.request(bufnr, 'textDocument/inlineCompletion', params, function(_, answer)
    local items = answer and answer.items or {}
    local row_now, column_now = cursor()
    local is_there = vim.api.nvim_get_current_buf() == bufnr
      and vim.api.nvim_buf_get_changedtick(bufnr) == tick
      and row_now == row
      and column_now == column
    if number ~= asked or #items == 0 or not is_there then
      return
    end
    ghost = { bufnr = bufnr, row = row, column = column, items = items, index = 1 }
    draw()
    if on_shown then
      on_shown()
    end
  end)
end

--- Ask for several texts.
function M.ask()
  M.dismiss()
  ask(INVOKED)
end

--- Show the next text; where one came by itself, ask for more.
function M.next()
  if not ghost then
    M.ask()
  elseif #ghost.items > 1 then
    ghost.index = ghost.index % #ghost.items + 1
    draw()
  else
    ask(INVOKED, function()
      ghost.index = math.min(2, #ghost.items)
      draw()
    end)
  end
end

--- Put the beginning of what is shown into the buffer, as far as `part_of` says.
---@param part_of fun(text: string): string
---@return boolean whether anything was shown
local function accept(part_of)
  local left = rest()
  if not ghost or not left then
    return false
  end
  local bufnr, part = ghost.bufnr, part_of(left)
  local arguments = ghost.items[ghost.index].command.arguments
  local lines = vim.split(part, '\n', { plain = true })
  local row, column = cursor()
  vim.api.nvim_buf_set_text(bufnr, row, column, row, column, lines)
  local last = #lines == 1 and column + #part or #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + #lines, last })
  draw()
  client.execute(bufnr, 'riskLsp.acceptWritten', { arguments[1], arguments[2] })
  return true
end

---@return boolean whether anything was shown
function M.accept()
  return accept(function(text)
    return text
  end)
end

---@return boolean whether anything was shown
function M.accept_line()
  return accept(function(text)
    return text:match('^\n?[^\n]*')
  end)
end

---@return boolean whether anything was shown
function M.accept_word()
  return accept(function(text)
    return text:match('^%s*[%w_]+') or text:match('^%s*[^%w_%s]+') or text
  end)
end

--- What is shown: the rest of the text, and the words beside it.
---@return { text: string, words: string }?
function M.shown()
  local left = rest()
  return left and { text = left, words = ghost.items[ghost.index].command.arguments[3].words }
end

local function typed()
  if not is_on() then
    return
  end
  if rest() then -- what was shown was typed
    draw()
    return
  end
  M.dismiss()
  local number = asked
  vim.defer_fn(function()
    if number == asked and is_on() then
      ask(AUTOMATIC)
    end
  end, DELAY)
end

--- Ask while somebody types, and define <Plug>(risk-lsp-accept), -accept-line, -accept-word, -next
--- and -dismiss.
function M.enable()
  vim.api.nvim_clear_autocmds({ group = GROUP })
  vim.api.nvim_create_autocmd('TextChangedI', { group = GROUP, callback = typed })
  vim.api.nvim_create_autocmd('CursorMovedI', {
    group = GROUP,
    callback = function()
      if ghost and not rest() then
        M.dismiss()
      end
    end,
  })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = GROUP,
    callback = M.dismiss,
  })
  local keys = {
    accept = M.accept,
    ['accept-line'] = M.accept_line,
    ['accept-word'] = M.accept_word,
    next = M.next,
    dismiss = M.dismiss,
  }
  for name, work in pairs(keys) do
    vim.keymap.set('i', ('<Plug>(risk-lsp-%s)'):format(name), function()
      work()
    end)
  end
end

return M
