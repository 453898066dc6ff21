--- The body of a function while the model writes it: virtual lines below the header, tinted by risk.
--- The buffer stays as it is: <Esc> and every edit cancel it, <Tab> takes it once it is finished.
local M = {}

local client = require('risk_lsp.client')

M.NAMESPACE = vim.api.nvim_create_namespace('risk_lsp_preview')

--- What this client does beyond the protocol; see docs/protocol.md.
M.OFFERS = { preview = true }

local BEFORE_HEAT = 100 -- lower than any mark without a priority, so drawn first

---@class risk_lsp.Preview
---@field bufnr integer
---@field token string|integer of the progress
---@field text string
---@field words string
---@field keys table<string, table> mappings of the buffer that are out of force meanwhile
---@field decide? fun(accepted: boolean) once the text is finished

---@type risk_lsp.Preview?
local shown

---@param bufnr integer
---@param key string
---@param work fun()
---@return table what was mapped in this buffer before
local function map(bufnr, key, work)
  local before = vim.api.nvim_buf_call(bufnr, function()
    return vim.fn.maparg(key, 'n', false, true)
  end)
  vim.keymap.set('n', key, work, { buffer = bufnr, nowait = true })
  return before
end

---@param bufnr integer
---@param keys table<string, table>
local function unmap(bufnr, keys)
  vim.api.nvim_buf_call(bufnr, function()
    for key, before in pairs(keys) do
      pcall(vim.keymap.del, 'n', key, { buffer = bufnr })
      if before.buffer == 1 then
        vim.fn.mapset('n', false, before)
      end
    end
  end)
end

--- Take it from the screen, and tell the server unless that told us.
---@param accepted boolean
local function close(accepted)
  local closed = shown
  if not closed then
    return
  end
  shown = nil
  if vim.api.nvim_buf_is_valid(closed.bufnr) then
    vim.api.nvim_buf_clear_namespace(closed.bufnr, M.NAMESPACE, 0, -1)
    unmap(closed.bufnr, closed.keys)
  end
  local running = client.get(closed.bufnr)
  if closed.decide then
    closed.decide(accepted)
  elseif running then
    client.notify(running, 'window/workDoneProgress/cancel', { token = closed.token })
  end
end

---@param bufnr integer
---@param token string|integer
local function open(bufnr, token)
  close(false)
  shown = { bufnr = bufnr, token = token, text = '', words = '', keys = {} }
  shown.keys['<Esc>'] = map(bufnr, '<Esc>', M.dismiss)
  vim.api.nvim_buf_attach(bufnr, false, {
    on_lines = function()
      if shown and shown.bufnr == bufnr and shown.token == token then
        vim.schedule(M.dismiss)
      end
      return true
    end,
  })
end

---@param params table of the protocol
---@param words string
---@return boolean whether there is a buffer to show it in
local function draw(params, words)
  local bufnr = vim.uri_to_bufnr(params.uri)
  if not vim.api.nvim_buf_is_loaded(bufnr) then
    return false
  end
  if not shown or shown.token ~= params.token then
    open(bufnr, params.token)
  end
  shown.text, shown.words = params.text, words
  local groups = {}
  for _, line in ipairs(params.risk.lines) do
    groups[line.start.line] = line.step > 0 and 'RiskLspGhost' .. line.step or nil
  end
  local rows = {}
  for number, line in ipairs(vim.split(params.text, '\n', { plain = true })) do
    local row = line:gsub('\t', (' '):rep(vim.bo[bufnr].tabstop))
    table.insert(rows, { { row, groups[number - 1] or 'RiskLspGhost' } })
  end
  if params.text:sub(1, 1) == '\n' then
    table.remove(rows, 1)
  end
  local row = params.range.start.line
  vim.api.nvim_buf_clear_namespace(bufnr, M.NAMESPACE, 0, -1)
  vim.api.nvim_buf_set_extmark(bufnr, M.NAMESPACE, row, 0, {
    virt_text = { { '  ' .. words, 'RiskLspPercent' } },
    virt_text_pos = 'eol',
    virt_lines = rows,
    priority = BEFORE_HEAT,
  })
  return true
end

--- Show what is written so far; a text of null ends that.
---@param params table of the protocol
function M.show(params)
  if params.text ~= nil and params.text ~= vim.NIL then
    draw(params, 'writing, <Esc> cancels')
  elseif shown and shown.token == params.token then
    close(false)
  end
end

--- The person's answer about a finished text. Older versions wait for it, newer ones go on meanwhile.
---@param params table of the protocol
---@return { accept: boolean }
function M.confirm(params)
  local words = params.risk.words
  if not draw(params, words .. ': <Tab> accepts, <Esc> dismisses') then
    return { accept = false }
  end
  local running, is_main = coroutine.running()
  if not running or is_main then
    vim.cmd('redraw')
    local accepted = vim.fn.confirm(words, '&Accept\n&Dismiss', 2) == 1
    shown.decide = function() end
    close(accepted)
    return { accept = accepted }
  end
  shown.decide = function(accepted)
    vim.schedule(function()
      coroutine.resume(running, accepted)
    end)
  end
  shown.keys['<Tab>'] = map(shown.bufnr, '<Tab>', M.accept)
  return { accept = coroutine.yield() }
end

--- Put the finished text into the buffer.
function M.accept()
  close(true)
end

--- End what is being written, or take what is finished from the screen.
function M.dismiss()
  close(false)
end

--- What is shown: the text so far and the words beside it.
---@return { text: string, words: string, is_finished: boolean }?
function M.shown()
  return shown
    and { text = shown.text, words = shown.words, is_finished = shown.decide ~= nil }
end

return M
