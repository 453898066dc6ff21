--- Starts the server, notices when it dies, and starts it again.
local M = {}

local client = require('risk_lsp.client')
local client_config = require('risk_lsp.config')
local lines = require('risk_lsp.lines')
local message = require('risk_lsp.message')
local options = require('risk_lsp.options')
local progress = require('risk_lsp.progress')
local state = require('risk_lsp.state')

local HAS_CONFIG = vim.fn.has('nvim-0.11') == 1
local GROUP = vim.api.nvim_create_augroup('risk_lsp', { clear = true })

-- A server that died is started again after 1, 2 and 4 seconds; one that ran this long starts from 1 again.
local RESTARTS_AT_MOST = 3
local GOOD_RUN_SECONDS = 120

---@type table<integer, true>
local attached = {}
local restarts = 0
local started_at = 0
local stop_expected = false

--- The buffers that the server works on, also while it is being restarted.
---@return table<integer, true>
function M.attached()
  return attached
end

---@param lsp_client vim.lsp.Client
---@param result table the answer to `initialize`
local function on_init(lsp_client, result)
  started_at = os.time()
  client_config.configure_diagnostics(lsp_client)
  state.started(vim.tbl_get(result, 'serverInfo', 'version'))
end

---@param _ vim.lsp.Client
---@param bufnr integer
local function on_attach(_, bufnr)
  attached[bufnr] = true
end

---@param how string
local function restart_after_crash(how)
  if os.time() - started_at > GOOD_RUN_SECONDS then
    restarts = 0
  end
  if restarts >= RESTARTS_AT_MOST then
    state.stopped(('the server stopped %d times'):format(restarts + 1))
    message.warn(('the server stopped again (%s); :RiskRestart starts it once more'):format(how))
    return
  end
  local delay = 1000 * 2 ^ restarts
  restarts = restarts + 1
  state.stopped(('the server stopped (%s) and is started again'):format(how))
  vim.defer_fn(M.start_again, delay)
end

---@param code integer
---@param signal integer
local function on_exit(code, signal)
  local expected = stop_expected
  stop_expected = false
  vim.schedule(function()
    if vim.v.exiting ~= vim.NIL then
      return
    end
    if expected then
      state.stopped()
    elseif code == 0 and signal == 0 then -- the user stopped it, through Neovim
      attached = {}
      state.stopped()
    elseif next(attached) then
      restart_after_crash(signal ~= 0 and 'signal ' .. signal or 'exit code ' .. code)
    end
  end)
end

--- One server for all of Neovim: the model is loaded once.
---@param running vim.lsp.Client
---@param config table
---@return boolean
local function reuse_client(running, config)
  if running.name ~= config.name then
    return false
  end
  return not client.is_stopped(running)
end

---@type table? the configuration in force
local current_config

---@param bufnr integer
local function start_for(bufnr)
  local config = HAS_CONFIG and vim.lsp.config[client.NAME] or current_config
  vim.api.nvim_buf_call(bufnr, function() -- 0.8 knows the current buffer only
    vim.lsp.start(config, { bufnr = bufnr, reuse_client = reuse_client })
  end)
end

---@param bufnr integer
---@return boolean
local function is_for_us(bufnr)
  return vim.bo[bufnr].buftype == ''
    and vim.tbl_contains(options.current.filetypes, vim.bo[bufnr].filetype)
end

--- Call `action` for every buffer of our file types, now and later.
---@param action fun(bufnr: integer)
---@param once? boolean
local function for_our_buffers(action, once)
  vim.api.nvim_create_autocmd('FileType', {
    group = GROUP,
    pattern = options.current.filetypes,
    once = once,
    callback = function(event)
      if is_for_us(event.buf) then
        action(event.buf)
      end
    end,
  })
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(bufnr) and is_for_us(bufnr) then
      action(bufnr)
    end
  end
end

--- Have the server started for buffers of our file types, now and later.
function M.enable()
  vim.api.nvim_clear_autocmds({ group = GROUP })
  local cmd, problem = require('risk_lsp.server').command(options.current.cmd)
  if not cmd then
    local said = false
    for_our_buffers(function()
      if not said then
        said = true
        message.warn(problem)
      end
    end, true)
    return
  end
  vim.api.nvim_create_autocmd({ 'LspDetach', 'BufUnload' }, {
    group = GROUP,
    callback = function(event)
      M.detached(event.buf, event.event)
    end,
  })
  progress.follow(GROUP)
  current_config = client_config.build(cmd, {
    on_init = on_init,
    on_attach = on_attach,
    on_exit = on_exit,
    reuse_client = reuse_client,
  })
  if HAS_CONFIG then
    vim.lsp.config(client.NAME, current_config)
    vim.lsp.enable(client.NAME)
  else
    for_our_buffers(start_for)
  end
end

--- Change settings, those of the model too: of the running server, and of those that are started after it.
---@param settings table<string, boolean|number|string>
function M.configure(settings)
  options.current.settings = vim.tbl_extend('force', options.current.settings, settings)
  local said = client_config.settings()
  if current_config then
    current_config = vim.tbl_extend('force', current_config, said)
    if HAS_CONFIG then
      vim.lsp.config(client.NAME, current_config)
    end
  end
  M.say_settings()
end

--- Tell the running server what the settings are by now. They are the user's, wherever it may hear of them.
function M.say_settings()
  local running = client.get()
  if not running then
    return
  end
  local said = client_config.settings()
  running.config.settings = said.settings
  running.settings = said.settings
  client.notify(running, 'riskLsp/userSettings', said.init_options)
  client.notify(running, 'workspace/didChangeConfiguration', { settings = said.settings })
end

--- A buffer is gone, or the server left it.
---@param bufnr integer
---@param event string
function M.detached(bufnr, event)
  lines.forget(bufnr)
  if event == 'BufUnload' then
    attached[bufnr] = nil
  end
end

--- Start the server for the buffers that had it.
function M.start_again()
  for bufnr in pairs(attached) do
    start_for(bufnr)
  end
end

--- Stop the server and start it again, for the buffers that had it. Without a server, look for one again.
function M.restart()
  restarts = 0
  local running = client.get()
  if not running then
    M.enable()
    return
  end
  stop_expected = true
  client.stop(running)
  local function when_stopped()
    if client.get() then
      vim.defer_fn(when_stopped, 50)
    else
      M.start_again()
    end
  end
  when_stopped()
end

return M
