-- What lazy.nvim does with the specification in the README: the plugin's folder comes onto the runtime path with the first file of
-- its type, plugin/ is sourced, setup of the module `main` is called with `opts`, and the event is sent again for what was
-- defined meanwhile.
local folder = vim.env.TEST_PLUGIN
local manual = assert(io.open(folder .. '/README.md')):read('*a')
local code = assert(manual:match('%*%*With lazy%.nvim%*%*%s+```lua\n(.-)\n```'), 'no specification in the README')
local spec = assert(loadstring('return ' .. code))()
assert(vim.endswith(spec.dir, '/editors/neovim'), 'another folder: ' .. spec.dir)

vim.api.nvim_create_autocmd('FileType', {
  pattern = spec.ft,
  callback = function(event)
    vim.api.nvim_del_autocmd(event.id)
    vim.opt.runtimepath:prepend(folder)
    for _, file in ipairs(vim.fn.glob(folder .. '/plugin/*.lua', true, true)) do
      vim.cmd('source ' .. file)
    end
    local ours = { cmd = { vim.env.RISK_LSP, 'serve' }, settings = { threshold = 0 } }
    require(spec.main).setup(vim.tbl_deep_extend('force', spec.opts, ours))
    vim.api.nvim_exec_autocmds('FileType', { buffer = event.buf, modeline = false })
  end,
})

return function(t)
  t.test('a plugin manager that waits for a Python file loads nothing before it', function()
    t.open('plain\n', 'txt')
    t.equal(package.loaded['risk_lsp'], nil, 'module')
    t.equal(vim.fn.exists(':RiskQuery'), 0, 'command')
  end)

  t.test('with the first Python file come diagnostics and commands', function()
    local bufnr = t.open('def f(a):\n    return a + 1\n')
    t.wait_for_diagnostics(bufnr)
    t.equal(vim.fn.exists(':RiskQuery'), 2, 'command')
  end)

  t.test('further files have the same server', function()
    local before = require('risk_lsp.client').get(0).id
    local bufnr = t.open('b = 2\n')
    t.wait_for_diagnostics(bufnr)
    t.equal(require('risk_lsp.client').get(bufnr).id, before, 'client')
  end)
end
