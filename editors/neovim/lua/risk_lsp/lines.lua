--- The probabilities of each buffer's lines, asked for only where somebody shows them.
local M = {}

local client = require('risk_lsp.client')

---@class risk_lsp.Lines
---@field version integer of the text that the numbers belong to
---@field lines (number|userdata)[] one per line, vim.NIL for a line without a number
---@field labels (string|userdata)[] what is said of each: "41%", or "1st" where only the order is known
---@field steps integer[] how strongly to show each line, 0 to 4
---@field outside? string why the numbers may not hold here

---@type table<integer, risk_lsp.Lines>
local known = {}

-- What to do for a buffer when its numbers come or go.
---@type (fun(bufnr: integer, lines: risk_lsp.Lines?))[]
local listeners = {}

-- Buffers without a listener's interest are not asked about.
---@type (fun(): boolean)[]
local interests = {}

--- Have `listener` called whenever a buffer's numbers come or go, as long as `is_interested()`.
---@param is_interested fun(): boolean
---@param listener fun(bufnr: integer, lines: risk_lsp.Lines?)
function M.listen(is_interested, listener)
  table.insert(interests, is_interested)
  table.insert(listeners, listener)
end

---@return boolean
local function is_wanted()
  for _, is_interested in ipairs(interests) do
    if is_interested() then
      return true
    end
  end
  return false
end

---@param bufnr integer
---@param lines? risk_lsp.Lines
local function set(bufnr, lines)
  known[bufnr] = lines
  for _, listener in ipairs(listeners) do
    listener(bufnr, lines)
  end
end

--- The newest numbers of a buffer, which may be older than its text; see `is_current`.
---@param bufnr integer
---@return risk_lsp.Lines?
function M.get(bufnr)
  return known[bufnr]
end

--- Whether a buffer's numbers belong to its newest text.
---@param bufnr integer
---@return boolean
function M.is_current(bufnr)
  return known[bufnr] ~= nil and known[bufnr].version == client.version(bufnr)
end

--- What is said of a line, from 1; nil where it has no number.
---@param found risk_lsp.Lines
---@param number integer
---@return string?
function M.label(found, number)
  local probability, label = found.lines[number], found.labels[number]
  if probability == nil or probability == vim.NIL then
    return
  end
  return label and label ~= vim.NIL and label or require('risk_lsp.message').percent(probability)
end

--- Ask for a buffer's numbers, if anybody wants them. Failures are silent: another result will follow an edit.
---@param bufnr integer
function M.refresh(bufnr)
  if not is_wanted() or not vim.api.nvim_buf_is_loaded(bufnr) then
    return
  end
  local params = { uri = vim.uri_from_bufnr(bufnr) }
  client.request(bufnr, 'riskLsp/lines', params, function(error, result)
    if error or not result or not vim.api.nvim_buf_is_loaded(bufnr) then
      return
    end
    if result.outside == vim.NIL then
      result.outside = nil
    end
    result.steps = result.steps or {}
    result.labels = result.labels or {} -- an older server sends none
    set(bufnr, result)
  end)
end

--- The server has numbers for a version of a document. Asking about an older one would have the newest text scored
--- before its quiet period is over.
---@param uri string
---@param version? integer
function M.scored(uri, version)
  local bufnr = vim.uri_to_bufnr(uri)
  if version == nil or version == vim.NIL or version == client.version(bufnr) then
    M.refresh(bufnr)
  end
end

---@param bufnr integer
function M.forget(bufnr)
  if known[bufnr] then
    set(bufnr, nil)
  end
end

function M.forget_all()
  for bufnr in pairs(vim.deepcopy(known)) do
    M.forget(bufnr)
  end
end

--- Ask for the numbers of every attached buffer.
function M.refresh_all()
  for bufnr in pairs(require('risk_lsp.lifecycle').attached()) do
    M.refresh(bufnr)
  end
end

return M
