--- How far a repair or a fetched model is, in the line below the last window and for status lines: what a client of another kind shows by itself.
local M = {}

local client = require('risk_lsp.client')

local REPAIR, MODEL = 'risk-lsp repair', 'risk-lsp model'

---@type table<string|integer, string> the title of what runs, by token
local running = {}

---@param text string
local function show(text)
  local room = vim.o.columns - 15 -- beyond that Neovim would ask for a key
  vim.api.nvim_echo({ { vim.fn.strcharpart(text, 0, math.max(0, room)) } }, false, {})
end

---@param token string|integer
---@param value { kind: string, title?: string, message?: string, percentage?: integer }
local function told(token, value)
  if value.kind == 'begin' and (value.title == REPAIR or value.title == MODEL) then
    running[token] = value.title
  elseif not running[token] then
    return
  end
  local title = running[token]
  if value.kind == 'end' then
    running[token] = nil
    show(('%s: %s'):format(title, value.message or 'ended'))
  else
    show(('%s: %s (%d%%)'):format(title, value.message or '', value.percentage or 0))
  end
end

--- Follow the server's repairs and fetched models. Before Neovim 0.10 nothing tells of them.
---@param group integer of autocommands
function M.follow(group)
  running = {}
  if vim.fn.exists('##LspProgress') == 0 then
    return
  end
  vim.api.nvim_create_autocmd('LspProgress', {
    group = group,
    callback = function(event)
      local ours = client.get()
      if ours and ours.id == event.data.client_id then
        told(event.data.params.token, event.data.params.value)
      end
    end,
  })
end

--- Whether a repair is being looked for.
---@return boolean
function M.is_repairing()
  return vim.tbl_contains(vim.tbl_values(running), REPAIR)
end

return M
