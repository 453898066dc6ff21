--- The client's configuration: what the server is told, and what is done with what it tells.
local M = {}

local client = require('risk_lsp.client')
local lines = require('risk_lsp.lines')
local options = require('risk_lsp.options')
local preview = require('risk_lsp.preview')
local repair = require('risk_lsp.repair')
local state = require('risk_lsp.state')

local HAS_CONFIG = vim.fn.has('nvim-0.11') == 1

---@return table
local function capabilities()
  local all = vim.lsp.protocol.make_client_capabilities()
  all.general = nil -- position encodings: Neovim's defaults, or what the user set for all servers
  local offers = vim.tbl_extend('error', { status = true, analysed = true }, repair.OFFERS, preview.OFFERS)
  all.experimental = { riskLsp = offers }
  return all
end

---@return table<string, function>
local function handlers()
  local show_diagnostics = vim.lsp.handlers['textDocument/publishDiagnostics']
  return {
    ['textDocument/publishDiagnostics'] = function(error, params, context, config)
      show_diagnostics(error, params, context, config)
      state.seen_numbers()
      lines.scored(params.uri, params.version)
    end,
    ['riskLsp/status'] = function(_, params)
      state.reported(params)
    end,
    ['riskLsp/analysed'] = function(_, params)
      lines.scored(params.uri, params.version)
    end,
    ['riskLsp/askHint'] = function(_, params)
      return repair.ask_hint(params)
    end,
    ['riskLsp/preview'] = function(_, params)
      preview.show(params)
    end,
    ['riskLsp/confirmPreview'] = function(_, params)
      return preview.confirm(params)
    end,
  }
end

--- Show this server's diagnostics as the user wants them.
---@param lsp_client vim.lsp.Client
function M.configure_diagnostics(lsp_client)
  local config = options.current.diagnostics
  local get_namespace = vim.lsp.diagnostic.get_namespace
  vim.diagnostic.config(config, get_namespace(lsp_client.id))
  local provider = lsp_client.server_capabilities.diagnosticProvider
  if type(provider) == 'table' then
    vim.diagnostic.config(config, get_namespace(lsp_client.id, true, provider.identifier))
  end
end

--- The part of the client's configuration that says the settings.
---@return { init_options: table, settings: table }
function M.settings()
  local settings = options.current.settings
  local said = next(settings) and settings or vim.empty_dict()
  return { init_options = vim.deepcopy(said), settings = { riskLsp = vim.deepcopy(said) } }
end

--- The client's configuration, as for |vim.lsp.start()|.
---@param cmd string[]
---@param callbacks { on_init: function, on_attach: function, on_exit: function, reuse_client: function }
---@return table
function M.build(cmd, callbacks)
  repair.set_up()
  local settings = M.settings()
  local config = {
    name = client.NAME,
    cmd = cmd,
    filetypes = options.current.filetypes,
    init_options = settings.init_options,
    settings = settings.settings,
    capabilities = capabilities(),
    handlers = handlers(),
    on_init = callbacks.on_init,
    on_attach = callbacks.on_attach,
    on_exit = callbacks.on_exit,
  }
  if HAS_CONFIG then
    config.reuse_client = callbacks.reuse_client
  end
  return config
end

return M
