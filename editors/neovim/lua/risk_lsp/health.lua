--- :checkhealth risk_lsp
local M = {}

local HAS_0_10 = vim.fn.has('nvim-0.10') == 1
local start = HAS_0_10 and vim.health.start or vim.health.report_start
local ok = HAS_0_10 and vim.health.ok or vim.health.report_ok
local info = HAS_0_10 and vim.health.info or vim.health.report_info
local warn = HAS_0_10 and vim.health.warn or vim.health.report_warn
local report_error = HAS_0_10 and vim.health.error or vim.health.report_error

local function check_client()
  start('Neovim')
  local version = vim.version()
  local text = ('Neovim %d.%d.%d'):format(version.major, version.minor, version.patch)
  if vim.fn.has('nvim-0.8') == 0 then
    report_error(text .. ' is too old for the plugin', ':help risk_lsp-old')
    return false
  end
  local way = vim.fn.has('nvim-0.11') == 1 and 'vim.lsp.enable()' or 'vim.lsp.start()'
  ok(('%s; the server is started by %s'):format(text, way))
  return true
end

local function check_server()
  start('Server')
  local server = require('risk_lsp.server')
  local command, problem = server.command(require('risk_lsp.options').current.cmd)
  if not command then
    report_error(problem, server.INSTALL)
    return
  end
  ok('command: ' .. table.concat(command, ' '))
  local version = vim.fn.system({ command[1], '--version' })
  if vim.v.shell_error == 0 then
    ok('version: ' .. vim.trim(version))
  else
    warn('the command does not tell its version', vim.trim(version))
  end
end

local function check_running()
  start('Running')
  local state = require('risk_lsp.state').current
  local running = require('risk_lsp.client').get()
  if not running then
    info('no server is running; it starts with the first buffer of its file types')
    info('state: ' .. state.message)
    return
  end
  local say = state.state == 'failed' and report_error or ok
  say(('state: %s (%s)'):format(state.state, state.message))
  info('server version: ' .. (state.version or 'not told'))
  info('bundle: ' .. (state.bundle or 'not told'))
  info('position encoding: ' .. running.offset_encoding)
  for bufnr in pairs(require('risk_lsp.lifecycle').attached()) do
    local lines = require('risk_lsp.lines').get(bufnr)
    local name = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(bufnr), ':~:.')
    info(
      ('buffer %d: %s%s'):format(
        bufnr,
        name,
        lines and lines.outside and '; ' .. lines.outside or ''
      )
    )
  end
end

function M.check()
  if check_client() then
    check_server()
    check_running()
  end
end

return M
