--- The running server: finding it and asking it. Hides what differs between Neovim 0.8 and 0.12.
local M = {}

local message = require('risk_lsp.message')

M.NAME = 'risk_lsp'

local HAS_0_10 = vim.fn.has('nvim-0.10') == 1
local HAS_0_11 = vim.fn.has('nvim-0.11') == 1

local tokens = 0 -- of progress, so far

---@alias risk_lsp.OnResult fun(result: any)

--- The client attached to a buffer; without a buffer, any.
---@param bufnr? integer
---@return vim.lsp.Client?
function M.get(bufnr)
  if bufnr == 0 then
    bufnr = vim.api.nvim_get_current_buf()
  end
  local list = HAS_0_10 and vim.lsp.get_clients or vim.lsp.get_active_clients
  return list({ name = M.NAME, bufnr = bufnr })[1]
end

--- The version of the buffer's text that the server was told of last.
---@param bufnr integer
---@return integer?
function M.version(bufnr)
  return vim.lsp.util.buf_versions[bufnr]
end

--- Call one of the client's methods, which were plain functions once.
---@param running vim.lsp.Client
---@param name string
---@param ... any
---@return any
local function call(running, name, ...)
  if HAS_0_11 then
    return running[name](running, ...)
  end
  return running[name](...)
end

--- Ask the server; `on_answer(error, result)` is called later, unless there is no server.
---@param bufnr integer
---@param method string
---@param params table
---@param on_answer fun(error: { code: integer, message: string }?, result: any)
---@return boolean sent
function M.request(bufnr, method, params, on_answer)
  local client = M.get(bufnr)
  if not client then
    return false
  end
  return call(client, 'request', method, params, on_answer, bufnr) == true
end

---@param running vim.lsp.Client
---@param method string
---@param params table
function M.notify(running, method, params)
  call(running, 'notify', method, params)
end

--- End the server's process without asking it.
---@param running vim.lsp.Client
function M.stop(running)
  call(running, 'stop', true)
end

---@param running vim.lsp.Client
---@return boolean
function M.is_stopped(running)
  return call(running, 'is_stopped')
end

--- Have the server do something that the user asked for. What goes wrong is shown.
---@param bufnr integer
---@param command string
---@param arguments any[]
---@param on_result? risk_lsp.OnResult
---@param how? { reports_progress: boolean } a command that does is answered when all is done
function M.execute(bufnr, command, arguments, on_result, how)
  local client = M.get(bufnr)
  if not client then
    M.say_not_attached()
    return
  end
  local provider = client.server_capabilities.executeCommandProvider
  if not provider or not vim.tbl_contains(provider.commands, command) then
    message.warn(('this server has no command %s; update it'):format(command))
    return
  end
  local params = { command = command, arguments = arguments }
  if how and how.reports_progress then
    tokens = tokens + 1
    params.workDoneToken = 'risk_lsp-' .. tokens
  end
  M.request(bufnr, 'workspace/executeCommand', params, function(error, result)
    if error then
      message.warn(error.message)
    elseif on_result then
      on_result(result)
    end
  end)
end

function M.say_not_attached()
  message.warn('no server is attached to this buffer; see :checkhealth risk_lsp')
end

return M
