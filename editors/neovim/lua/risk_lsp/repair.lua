--- Repairs and explanations: the person's hint, and what the server says about a number.
local M = {}

local client = require('risk_lsp.client')

local EXPLAIN = 'riskLsp.explain'

--- What this client does for repairs beyond the protocol; see docs/protocol.md.
M.OFFERS = { hint = true, explanation = true }

--- The answer to the server's question for a hint. Older versions wait for it, newer ones go on meanwhile.
---@param params { purpose?: string } what is to be made of the hint
---@return { hint: string }
function M.ask_hint(params)
  local is_body = params.purpose == 'body'
  local question = { prompt = is_body and 'What should it do? ' or 'What do you think is wrong? ' }
  local running, is_main = coroutine.running()
  local hint
  if running and not is_main then
    vim.ui.input(question, function(answer)
      vim.schedule(function()
        coroutine.resume(running, answer)
      end)
    end)
    hint = coroutine.yield()
  else
    hint = vim.fn.input(question)
  end
  return { hint = hint and hint ~= '' and hint or vim.NIL }
end

--- Look for a repair of a range, with the person's words about it if there are any.
---@param bufnr integer
---@param uri string the buffer's
---@param range risk_lsp.Range
---@param hint string
function M.request(bufnr, uri, range, hint)
  if hint == '' then
    client.execute(bufnr, 'riskLsp.repair', { uri, range })
  else
    client.execute(bufnr, 'riskLsp.repairWithHint', { uri, range, hint })
  end
end

--- Show the tokens behind the number of a range in a floating window.
---@param bufnr integer
---@param arguments any[] the URI and the range
function M.explain(bufnr, arguments)
  client.execute(bufnr, EXPLAIN, arguments, function(result)
    local text = vim.split(result.markdown, '\n', { plain = true })
    vim.lsp.util.open_floating_preview(text, 'markdown', { focus_id = EXPLAIN, border = 'rounded' })
  end)
end

--- Have the code action show its explanation.
function M.set_up()
  vim.lsp.commands[EXPLAIN] = function(command, context)
    M.explain(context.bufnr, command.arguments)
  end
end

return M
