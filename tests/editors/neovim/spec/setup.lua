local options = require('risk_lsp.options')
local server = require('risk_lsp.server')

local function refusal(given)
  local good, problem = pcall(options.set, given)
  assert(not good, 'accepted: ' .. vim.inspect(given))
  return problem
end

return function(t)
  t.test('a wrong option is refused by name', function()
    t.matches(refusal({ treshold = 1 }), 'unknown option treshold; known are .*settings')
    t.matches(refusal({ heatmap = { stile = 'line' } }), 'unknown option heatmap%.stile')
    t.matches(refusal({ heatmap = { style = 'red' } }), 'heatmap%.style expects one of text, line')
    t.matches(refusal({ cmd = 'risk-lsp' }), 'option cmd expects a table')
    t.matches(refusal({ cmd = {} }), 'option cmd expects a list')
  end)

  t.test('the server is the one on PATH', function()
    local folder = vim.env.TEST_FOLDER .. '/bin'
    vim.fn.mkdir(folder, 'p')
    vim.fn.writefile({ '#!/bin/sh' }, folder .. '/risk-lsp')
    vim.loop.fs_chmod(folder .. '/risk-lsp', 493)
    local before = vim.env.PATH
    vim.env.PATH = folder .. ':' .. before
    local command = server.command()
    vim.env.PATH = before
    t.equal(command, { folder .. '/risk-lsp', 'serve' }, 'command')
  end)

  t.test(
    'a program in the workspace is not taken for the server, even if PATH holds "."',
    function()
      local before, folder = vim.env.PATH, vim.fn.getcwd()
      vim.cmd('cd ' .. vim.env.TEST_FOLDER .. '/bin')
      vim.env.PATH = '.:/usr/bin'
      local command, problem = server.command()
      vim.env.PATH = before
      vim.cmd('cd ' .. folder)
      t.equal(command, nil, 'command')
      t.matches(problem, 'not found; install it with: ')
    end
  )

  t.test('a missing server is installed from the clone that the plugin lies in', function()
    local clone = vim.loop.fs_realpath(vim.fn.fnamemodify(vim.env.TEST_PLUGIN, ':h:h'))
    local linked = vim.env.TEST_FOLDER .. '/linked'
    vim.loop.fs_symlink(vim.env.TEST_PLUGIN, linked)
    local found = dofile(linked .. '/lua/risk_lsp/server.lua').INSTALL
    t.equal(found, 'pipx install ' .. vim.fn.shellescape(clone), 'command')
    t.equal(server.INSTALL, 'pipx install risk-lsp', 'the command of a plugin that was copied')
  end)

  t.test('a command that cannot be run is named', function()
    local _, problem = server.command({ '/no/such/program' })
    t.matches(problem, '/no/such/program is not an executable')
  end)

  t.test('settings cannot name an executable', function()
    options.set({ settings = { cmd = '/bin/evil' } })
    local command = server.command(options.current.cmd)
    assert(not command or command[1] ~= '/bin/evil', vim.inspect(command))
  end)

  t.test('probabilities are never shown as none or certain', function()
    local percent = require('risk_lsp.message').percent
    local shown = vim.tbl_map(percent, { 0, 0.004, 0.006, 0.414, 0.994, 0.996, 1 })
    t.equal(shown, { '<1%', '<1%', '1%', '41%', '99%', '>99%', '>99%' }, 'percentages')
  end)

  t.test('a missing server is told once, when a file needs it', function()
    require('risk_lsp').setup({ cmd = { '/no/such/program' } })
    t.messages = {}
    t.open('a = 1\n')
    t.open('b = 1\n')
    t.equal(#t.messages, 1, 'number of messages')
    t.matches(t.messages[1], '/no/such/program')
  end)

  t.test('a plugin manager may load it after the file was opened', function()
    local bufnr = t.open('a = 1\n')
    require('risk_lsp').setup({
      cmd = { vim.env.RISK_LSP, 'serve' },
      settings = { threshold = 0 },
    })
    t.wait_for_diagnostics(bufnr)
  end)
end
