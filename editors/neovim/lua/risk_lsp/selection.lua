--- The probability of a range or of the selection. Answers come from the server's finished analysis, not from the model.
local M = {}

local client = require('risk_lsp.client')
local position = require('risk_lsp.position')

---@param bufnr integer
---@return string
local function encoding(bufnr)
  return client.get(bufnr).offset_encoding
end

--- The selection while it is being made; nil outside of visual mode. A block counts as its lines.
---@param bufnr integer the current buffer
---@return risk_lsp.Range?
function M.selected(bufnr)
  local mode = vim.api.nvim_get_mode().mode:sub(1, 1)
  local start, finish = vim.fn.getpos('v'), vim.fn.getpos('.')
  if mode == 'v' then
    return position.between(bufnr, start, finish, encoding(bufnr))
  elseif mode == 'V' or mode == '\22' then
    local first, last = math.min(start[2], finish[2]), math.max(start[2], finish[2])
    return position.of_lines(bufnr, first, last, encoding(bufnr))
  end
end

--- The range of an Ex command: the selection's characters when it was given as '<,'>, otherwise its lines.
---@param bufnr integer the current buffer
---@param args { range: integer, line1: integer, line2: integer }
---@return risk_lsp.Range
function M.of_command(bufnr, args)
  local start, finish = vim.fn.getpos("'<"), vim.fn.getpos("'>")
  local is_selection = args.range == 2 and args.line1 == start[2] and args.line2 == finish[2]
  if is_selection and vim.fn.visualmode() == 'v' then
    return position.between(bufnr, start, finish, encoding(bufnr))
  end
  return position.of_lines(bufnr, args.line1, args.line2, encoding(bufnr))
end

--- Ask what is said of a range: in a word, such as "41%", and in a sentence.
---@param bufnr integer
---@param range risk_lsp.Range
---@param on_answer fun(error: { code: integer, message: string }?, label: string?, sentence: string?)
---@return boolean sent
function M.query(bufnr, range, on_answer)
  local params = { uri = vim.uri_from_bufnr(bufnr), ranges = { range } }
  return client.request(bufnr, 'riskLsp/query', params, function(error, result)
    if error or not result then
      on_answer(error)
      return
    end
    local percent = require('risk_lsp.message').percent(result.probabilities[1])
    local labels, sentences = result.labels or {}, result.sentences or {} -- an older server sends none
    on_answer(nil, labels[1] or percent, sentences[1] or percent .. ' likely to need an edit')
  end)
end

return M
