--- How likely is it that a span of model-written code has to be edited? See |risk_lsp.txt|.
local M = {}

local OLD_NEOVIM =
  'risk-lsp: this plugin needs Neovim 0.8 or newer; :help risk_lsp-old shows how to use the server without it'

--- Start to use the plugin. Raises an error that names an option that is wrong.
---@param given? risk_lsp.Options
function M.setup(given)
  if vim.fn.has('nvim-0.8') == 0 then
    vim.notify(OLD_NEOVIM, vim.log.levels.WARN)
    return
  end
  require('risk_lsp.options').set(given)
  vim.cmd('runtime plugin/risk_lsp.lua') -- plugin managers that load late do not do that
  require('risk_lsp.highlights').keep_defined()
  require('risk_lsp.lifecycle').enable()
  require('risk_lsp.ghost').enable()
  require('risk_lsp.lifecycle').say_settings() -- where it runs already
  require('risk_lsp.heatmap').show(require('risk_lsp.options').current.heatmap.enabled)
end

--- Change settings of the running server, those of the model too, until Neovim ends.
---@param settings table<string, boolean|number|string>
function M.configure(settings)
  require('risk_lsp.lifecycle').configure(settings)
end

--- Text for a status line: "risk 41%" for the selection or the cursor's line, or the server's state.
---@return string
function M.status()
  return require('risk_lsp.statusline').text()
end

--- What the server last said about itself.
---@return risk_lsp.State
function M.state()
  return vim.deepcopy(require('risk_lsp.state').current)
end

return M
