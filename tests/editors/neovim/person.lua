-- A person who presses the buttons that a spec names, one question after the other; then none.
local M = { chosen = {} } ---@type { chosen: string[] }

local function select(actions, _, on_choice)
  local title = table.remove(M.chosen, 1)
  for index, action in ipairs(actions) do
    if type(action) == 'table' and action.title == title then
      return on_choice(action, index)
    end
  end
  on_choice(nil, 0)
end

local function inputlist(lines) -- "2. Run"
  local title = table.remove(M.chosen, 1)
  for _, line in ipairs(lines) do
    local number, found = line:match('^(%d+)%. (.*)$')
    if found == title then
      return tonumber(number)
    end
  end
  return 0
end

function M.sit_down()
  vim.ui.select = select
  vim.fn.inputlist = inputlist
  return M
end

return M
