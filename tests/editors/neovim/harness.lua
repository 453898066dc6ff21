-- A test harness of one page: named tests, waiting for conditions, files with exact bytes.
local M = { passed = 0, failed = 0, messages = {} }

-- Loading the model takes a while on a busy machine.
local PATIENCE = 300000

vim.notify = function(text)
  table.insert(M.messages, text)
end

function M.test(name, body)
  local good, problem = xpcall(body, debug.traceback)
  if good then
    M.passed = M.passed + 1
    io.stdout:write(('  ok      %s\n'):format(name))
  else
    M.failed = M.failed + 1
    io.stdout:write(('  FAILED  %s\n%s\n'):format(name, problem))
  end
  vim.cmd('silent! only | stopinsert')
end

function M.fail(text)
  error(text, 2)
end

function M.equal(actual, expected, what)
  if not vim.deep_equal(actual, expected) then
    local text = '%s: expected %s, got %s'
    error(text:format(what or 'value', vim.inspect(expected), vim.inspect(actual)), 2)
  end
end

function M.matches(text, pattern)
  if type(text) ~= 'string' or not text:find(pattern) then
    error(('expected something like %s, got %s'):format(pattern, vim.inspect(text)), 2)
  end
end

-- The first thing that `condition` returns that is neither nil nor false.
function M.wait(what, condition)
  local value
  vim.wait(PATIENCE, function()
    value = condition()
    return value
  end, 20)
  if not value then
    local said = #M.messages > 0 and '; messages: ' .. table.concat(M.messages, ' | ') or ''
    error('waited in vain for ' .. what .. said, 2)
  end
  return value
end

-- Wait for a message to the user that has come since `body` began.
function M.message_of(body, pattern)
  M.messages = {}
  body()
  return M.wait('a message like ' .. pattern, function()
    for _, text in ipairs(M.messages) do
      if text:find(pattern) then
        return text
      end
    end
  end)
end

local count = 0

-- A new file with exactly these bytes, open in the current window.
function M.open(bytes, extension)
  count = count + 1
  local path = ('%s/file%d.%s'):format(vim.env.TEST_FOLDER, count, extension or 'py')
  local file = assert(io.open(path, 'wb'))
  file:write(bytes)
  file:close()
  vim.cmd('edit ' .. path)
  return vim.api.nvim_get_current_buf()
end

function M.diagnostics(bufnr)
  return vim.tbl_filter(function(diagnostic)
    return diagnostic.source == 'risk-lsp'
  end, vim.diagnostic.get(bufnr))
end

function M.wait_for_diagnostics(bufnr)
  return M.wait('diagnostics', function()
    local found = M.diagnostics(bufnr)
    return #found > 0 and found
  end)
end

-- The same, after an edit: what was shown before does not count.
function M.edit_and_wait(bufnr, edit, predicate)
  edit()
  return M.wait('diagnostics of the new text', function()
    return predicate(M.diagnostics(bufnr))
  end)
end

-- The texts that diagnostics cover, in the order of the buffer.
function M.covered(bufnr, diagnostics)
  table.sort(diagnostics, function(a, b)
    return a.lnum < b.lnum
  end)
  return vim.tbl_map(function(found)
    local from, to = found.lnum, found.end_lnum
    return vim.api.nvim_buf_get_text(bufnr, from, found.col, to, found.end_col, {})[1]
  end, diagnostics)
end

function M.run(folder, names)
  for _, name in ipairs(names) do
    io.stdout:write(name .. '\n')
    dofile(('%s/spec/%s.lua'):format(folder, name))(M)
  end
  local result = assert(io.open(vim.env.TEST_RESULT, 'a'))
  result:write(('%d %d\n'):format(M.passed, M.failed))
  result:close()
  vim.cmd(M.failed == 0 and 'qall!' or 'cquit 1')
end

return M
