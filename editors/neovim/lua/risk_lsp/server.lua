--- Which executable is the server. Only the user decides: `setup{ cmd = ... }` or PATH, never a file of the workspace.
local M = {}

M.INSTALL = 'pipx install risk-lsp'

local IS_WINDOWS = vim.fn.has('win32') == 1

---@param folder string
---@return boolean
local function is_absolute(folder)
  return folder:match(IS_WINDOWS and '^%a:[/\\]' or '^/') ~= nil
end

--- The program's absolute path. Relative folders in PATH are left out: they name what lies in the workspace.
---@param program string
---@return string?
local function on_path(program)
  local folders = vim.split(vim.env.PATH or '', IS_WINDOWS and ';' or ':', { plain = true })
  for _, folder in ipairs(folders) do
    local path = folder .. '/' .. program
    if is_absolute(folder) and vim.fn.executable(path) == 1 then
      return path
    end
  end
end

--- The command that starts the server, or nil and what is wrong.
---@param given? string[] `cmd` of setup
---@return string[]? command
---@return string? problem
function M.command(given)
  if given then
    if vim.fn.executable(given[1]) == 1 then
      return given
    end
    return nil, ('%s is not an executable; correct cmd in setup{}'):format(given[1])
  end
  local path = on_path(IS_WINDOWS and 'risk-lsp.exe' or 'risk-lsp')
  if path then
    return { path, 'serve' }
  end
  return nil, ('the server risk-lsp was not found; install it with: %s'):format(M.INSTALL)
end

return M
