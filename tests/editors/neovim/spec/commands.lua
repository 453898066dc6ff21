local function buffer(t)
  local bufnr = t.open('def f(a):\n    return a + 1\n')
  t.wait_for_diagnostics(bufnr)
  return bufnr
end

return function(t)
  t.test(':RiskSnooze takes everything away and :RiskSnooze 0 brings it back', function()
    local bufnr = buffer(t)
    vim.cmd('RiskSnooze 5')
    t.wait('nothing to be shown', function()
      return #t.diagnostics(bufnr) == 0
    end)
    t.wait('the state', function()
      return require('risk_lsp').state().state == 'paused'
    end)
    t.equal(require('risk_lsp').status(), 'risk paused', 'status line')
    local until_time = require('risk_lsp').state().until_time
    assert(math.abs(until_time - os.time() - 300) < 60, 'the snooze ends at ' .. until_time)
    vim.cmd('RiskSnooze 0')
    t.wait_for_diagnostics(bufnr)
  end)

  t.test(':RiskIgnore makes the server leave a line out, and :RiskIgnore stop ends that', function()
    local bufnr = buffer(t)
    vim.api.nvim_win_set_cursor(0, { 2, 4 })
    vim.cmd('RiskIgnore')
    t.wait('one diagnostic less', function()
      return vim.deep_equal(t.covered(bufnr, t.diagnostics(bufnr)), { 'def f(a):' })
    end)
    t.equal(vim.bo[bufnr].modified, false, 'modified')
    vim.cmd('RiskIgnore stop')
    t.wait('the diagnostic again', function()
      return #t.diagnostics(bufnr) == 2
    end)
  end)

  t.test(':RiskIgnore source writes a comment', function()
    local bufnr = buffer(t)
    vim.api.nvim_win_set_cursor(0, { 2, 4 })
    vim.cmd('RiskIgnore source')
    t.wait('the comment', function()
      return vim.api
        .nvim_buf_get_lines(bufnr, 1, 2, false)[1]
        :find('return a %+ 1 +# risk: ignore$')
    end)
    t.wait('one diagnostic less', function()
      return #t.diagnostics(bufnr) == 1
    end)
  end)

  t.test(':RiskAnalyse scores without the quiet period', function()
    local bufnr = buffer(t)
    require('risk_lsp').configure({ debounce = 60 })
    vim.api.nvim_buf_set_lines(bufnr, 0, 0, false, { 'new = 1' })
    vim.cmd('RiskAnalyse')
    t.wait('diagnostics of the new text', function()
      return #t.diagnostics(bufnr) == 3
    end)
    require('risk_lsp').configure({ debounce = 0.05 })
  end)

  t.test(':RiskReport writes a self-contained page', function()
    buffer(t)
    local path = vim.env.TEST_FOLDER .. '/report.html'
    t.message_of(function()
      vim.cmd('RiskReport ' .. path)
    end, 'the report is')
    local html = assert(io.open(path)):read('*a')
    t.matches(html:lower(), '^%s*<!doctype html>')
    t.matches(html, 'Most worth reading')
  end)

  t.test(':RiskGenerated is understood', function()
    buffer(t)
    t.messages = {}
    vim.cmd('1,2RiskGenerated')
    vim.cmd('1,2RiskGenerated!')
    t.equal(t.messages, {}, 'messages')
    -- Requests are answered in order: when this one is, so are those.
    t.message_of(function()
      vim.cmd('RiskQuery')
    end, '%(line 1%)')
    t.equal(#t.messages, 1, 'number of messages: ' .. table.concat(t.messages, ' | '))
  end)

  t.test('a command that the server does not know is told in one line', function()
    local bufnr = buffer(t)
    t.message_of(function()
      require('risk_lsp.client').execute(bufnr, 'riskLsp.noSuchCommand', {})
    end, 'noSuchCommand')
  end)

  t.test('wrong arguments are told, and nothing happens', function()
    buffer(t)
    for command, pattern in pairs({
      ['RiskSnooze soon'] = 'number of minutes',
      ['RiskIgnore all'] = 'stored, source, stop',
      ['RiskHeatmap purple'] = 'on, off, text, line',
    }) do
      t.message_of(function()
        vim.cmd(command)
      end, pattern)
    end
  end)

  t.test('where no server works, commands say so', function()
    t.open('plain\n', 'txt')
    t.message_of(function()
      vim.cmd('RiskQuery')
    end, 'no server is attached')
    t.message_of(function()
      vim.cmd('RiskAnalyse')
    end, 'no server is attached')
  end)
end
