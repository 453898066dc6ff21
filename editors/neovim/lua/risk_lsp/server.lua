--- Which executable is the server. Only the user decides: `setup{ cmd = ... }` or PATH, never a file of the workspace.
local M = {}

--- The command that installs the server: from the clone that this plugin is a part of, where it is.
---@return string
local function install_command()
  local here = (vim.uv or vim.loop).fs_realpath(debug.getinfo(1, 'S').source:sub(2)) or ''
  local root = vim.fn.fnamemodify(here, ':h:h:h:h:h')
  local is_clone = vim.fn.filereadable(root .. '/risk_lsp/server/app.py') == 1
  return 'pipx install ' .. (is_clone and vim.fn.shellescape(root) or 'risk-lsp')
end

M.INSTALL = install_command()

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
