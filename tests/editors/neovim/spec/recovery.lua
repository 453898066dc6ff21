local client = require('risk_lsp.client')

-- The process of the server, a child of this Neovim.
local function server_process()
  local children = vim.api.nvim_get_proc_children(vim.fn.getpid())
  for _, process in ipairs(children) do
    local file = io.open(('/proc/%d/cmdline'):format(process))
    if file and file:read('*a'):find('risk%-lsp') then
      return process
    end
  end
end

-- The process of the model, a child of the server's.
local function model_process()
  local server = server_process()
  return server and vim.api.nvim_get_proc_children(server)[1]
end

local function wait_for_another(t, old)
  t.wait('another server', function()
    local running = client.get()
    return running and running.id ~= old
  end)
end

return function(t)
  t.test('a server that is killed comes back, with diagnostics and heat map', function()
    local bufnr = t.open('a = 1\n\nb = 2\n')
    t.wait_for_diagnostics(bufnr)
    local old = client.get(bufnr).id
    vim.loop.kill(assert(server_process()), 'sigkill')
    t.wait('the old numbers to go', function()
      return #t.diagnostics(bufnr) == 0
    end)
    wait_for_another(t, old)
    t.wait_for_diagnostics(bufnr)
    t.wait('numbers of the lines', function()
      return require('risk_lsp.lines').is_current(bufnr)
    end)
  end)

  t.test('another choice for the model is loaded by the server that runs', function()
    local bufnr = t.open('a = 1\n')
    t.wait_for_diagnostics(bufnr)
    local server, model = server_process(), assert(model_process())
    require('risk_lsp').configure({ threads = 1 })
    t.wait('another model', function()
      local now = model_process()
      return now and now ~= model
    end)
    t.equal(server_process(), server, 'server')
    t.wait_for_diagnostics(bufnr)
  end)

  t.test('settings that were changed hold for the server after a crash, too', function()
    local bufnr = t.open('a = 1\nb = 2\nc = 3\n')
    require('risk_lsp').configure({ maxDiagnostics = 1 })
    t.wait('one diagnostic', function()
      return #t.diagnostics(bufnr) == 1
    end)
    local old = client.get(bufnr).id
    vim.loop.kill(assert(server_process()), 'sigkill')
    wait_for_another(t, old)
    t.equal(client.get().config.init_options.maxDiagnostics, 1, 'what the new server is told')
    t.equal(#t.wait_for_diagnostics(bufnr), 1, 'diagnostics')
    require('risk_lsp').configure({ maxDiagnostics = 1000 })
    t.wait('all diagnostics', function()
      return #t.diagnostics(bufnr) == 3
    end)
  end)

  t.test('setup that is called again tells the running server', function()
    local bufnr = t.open('a = 1\nb = 2\nc = 3\n')
    t.wait('all diagnostics', function()
      return #t.diagnostics(bufnr) == 3
    end)
    local server, before = server_process(), require('risk_lsp.options').current
    local given = vim.tbl_extend('force', before.settings, { maxDiagnostics = 2 })
    require('risk_lsp').setup({ cmd = before.cmd, settings = given })
    t.wait('two diagnostics', function()
      return #t.diagnostics(bufnr) == 2
    end)
    require('risk_lsp').setup({ cmd = before.cmd, settings = before.settings })
    t.wait('all diagnostics', function()
      return #t.diagnostics(bufnr) == 3
    end)
    t.equal(server_process(), server, 'server')
  end)

  t.test(':RiskRestart starts a new server', function()
    local bufnr = t.open('a = 1\n')
    t.wait_for_diagnostics(bufnr)
    local old = client.get(bufnr).id
    vim.cmd('RiskRestart')
    wait_for_another(t, old)
    t.wait_for_diagnostics(bufnr)
  end)

  t.test('a server that the user stopped stays stopped', function()
    local bufnr = t.open('a = 1\n')
    t.wait_for_diagnostics(bufnr)
    local running = client.get(bufnr)
    local stop = running.stop
    if vim.fn.has('nvim-0.11') == 1 then
      stop(running)
    else
      stop()
    end
    t.wait('the end', function()
      return client.get() == nil and require('risk_lsp').state().state == 'none'
    end)
    vim.wait(1500) -- longer than the first restart waits
    t.equal(client.get(), nil, 'client')
    vim.cmd('RiskRestart')
    t.wait_for_diagnostics(bufnr)
  end)
end
