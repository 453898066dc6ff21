local M = {}

---@param text string
---@param level? integer one of vim.log.levels
local function show(text, level)
  vim.notify('risk-lsp: ' .. text, level or vim.log.levels.INFO)
end

--- Tell the user something.
---@param text string
function M.info(text)
  show(text)
end

--- Tell the user that something does not work.
---@param text string
function M.warn(text)
  show(text, vim.log.levels.WARN)
end

--- A probability as people read it: never "0%" or "100%", since no span is known to be right or wrong.
---@param probability number
---@return string
function M.percent(probability)
  local rounded = math.floor(100 * probability + 0.5)
  if rounded < 1 then
    return '<1%'
  end
  return rounded < 100 and ('%d%%'):format(rounded) or '>99%'
end

return M
