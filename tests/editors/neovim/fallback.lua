-- Neovim 0.7: what the manual offers instead of the plugin, taken from the manual. Runs as `luafile`.
local t = dofile(vim.env.TEST_HERE .. '/harness.lua')

local function documented()
  local path = vim.api.nvim_get_runtime_file('doc/risk_lsp.txt', false)[1]
  local manual = assert(io.open(path)):read('*a')
  return assert(manual:match('%*risk_lsp%-old%*.->lua\n(.-)\n<'), 'no code in the manual')
end

t.test('the plugin is silent at startup and defines no commands', function()
  t.equal(vim.v.errmsg, '', 'error')
  t.equal(vim.fn.exists(':RiskQuery'), 0, 'command')
end)

t.test('setup says what is needed and where to read on', function()
  t.message_of(function()
    require('risk_lsp').setup({ settings = { threshold = 0 } })
  end, 'needs Neovim 0%.8 or newer; :help risk_lsp%-old')
end)

t.test('the code in the manual starts the server: diagnostics and hover', function()
  local code = documented():gsub("'risk%-lsp'", vim.inspect(vim.env.RISK_LSP)):gsub('0%.3', '0')
  assert(loadstring(code))()
  local bufnr = t.open('x = "🙂"\ndef f(a):\n    return a\n')
  local found = t.wait_for_diagnostics(bufnr)
  t.equal(t.covered(bufnr, found), { 'x = "🙂"', 'def f(a):', 'return a' })
  local params = vim.lsp.util.make_position_params()
  local answers = assert(vim.lsp.buf_request_sync(bufnr, 'textDocument/hover', params, 10000))
  local _, answer = next(answers)
  t.matches(answer.result.contents.value, 'Most of .* comes from')
end)

t.test('a server that is killed comes back with the next file', function()
  local client = vim.lsp.get_active_clients()[1]
  client.stop(true)
  t.wait('the end', function()
    return #vim.lsp.get_active_clients() == 0
  end)
  t.wait_for_diagnostics(t.open('a = 1\n'))
end)

local result = assert(io.open(vim.env.TEST_RESULT, 'a'))
result:write(('%d %d\n'):format(t.passed, t.failed))
result:close()
vim.cmd(t.failed == 0 and 'qall!' or 'cquit 1')
