--- The models that give the numbers: chosen from a list, or by name.
local M = {}

local client = require('risk_lsp.client')
local message = require('risk_lsp.message')

local COMPLETION_MS = 2000

---@class risk_lsp.Model
---@field name string
---@field state 'built-in'|'here'|'gone'|'to fetch'
---@field size integer bytes
---@field in_use boolean
---@field licence string|userdata
---@field bundle string|userdata which reads it

---@param value any
---@return any
local function given(value)
  return value ~= vim.NIL and value or nil
end

--- A model as a line of the list.
---@param model risk_lsp.Model
---@return string
function M.line(model)
  local mark = model.in_use and '* ' or '  '
  local parts = { ('%d MB'):format(math.floor(model.size / 1e6 + 0.5)), given(model.licence) }
  table.insert(parts, model.state)
  local bundle = given(model.bundle)
  table.insert(parts, bundle and 'read by the bundle ' .. bundle or 'no bundle reads it yet')
  return mark .. model.name .. ': ' .. table.concat(parts, ', ')
end

---@param bufnr integer
---@param name string
local function use(bufnr, name)
  client.execute(bufnr, 'riskLsp.useModel', { name }, function()
    message.info(('the model %s is loaded from now on'):format(name))
  end)
end

--- Use a model; one that is to be fetched is fetched first, once the person has agreed.
---@param bufnr integer
---@param model risk_lsp.Model
local function choose(bufnr, model)
  if not given(model.bundle) then
    local how = 'fit one with risk-lsp probe fit FOLDER --model %s --data PROGRAMS'
    message.warn(('no bundle reads %s yet; ' .. how):format(model.name, model.name))
  elseif model.state == 'to fetch' then
    client.execute(bufnr, 'riskLsp.fetchModel', { model.name }, function(answer)
      if answer.status == 'fetched' then
        use(bufnr, model.name)
      else
        message.warn(answer.message)
      end
    end, { reports_progress = true })
  else
    use(bufnr, model.name)
  end
end

--- Choose the model of this name, or one from the list where `name` is empty.
---@param bufnr integer
---@param name string
function M.choose(bufnr, name)
  client.execute(bufnr, 'riskLsp.listModels', {}, function(list)
    local setting = given(list.setting)
    if setting then
      message.warn(('the setting bundle names %s, which goes before what is chosen'):format(setting))
      return
    end
    if name == '' then
      local options = { prompt = 'Model', kind = 'risk_lsp.model', format_item = M.line }
      vim.ui.select(list.models, options, function(model)
        if model then
          choose(bufnr, model)
        end
      end)
      return
    end
    for _, model in ipairs(list.models) do
      if model.name == name then
        choose(bufnr, model)
        return
      end
    end
    use(bufnr, name) -- a bundle, by its name or its folder; of any other name the server says what is wrong
  end)
end

--- The names of models that begin with `lead`, for completion on the command line.
---@param lead string
---@return string[]
function M.complete(lead)
  local bufnr = vim.api.nvim_get_current_buf()
  local running = client.get(bufnr)
  if not running then
    return {}
  end
  local params = { command = 'riskLsp.listModels', arguments = {} }
  local answers =
    vim.lsp.buf_request_sync(bufnr, 'workspace/executeCommand', params, COMPLETION_MS) or {}
  local names = {}
  local answer = answers[running.id]
  for _, model in ipairs(answer and answer.result and answer.result.models or {}) do
    if vim.startswith(model.name, lead) then
      table.insert(names, model.name)
    end
  end
  return names
end

return M
