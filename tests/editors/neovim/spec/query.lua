local function typed(keys)
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(keys, true, false, true), 'x!', false)
end

-- What the plugin asks the server for.
local function asked(t, body)
  local client = require('risk_lsp.client')
  local real, range = client.request, nil
  client.request = function(_, _, params)
    range = params.ranges[1]
    return true
  end
  local good, problem = pcall(body)
  client.request = real
  t.equal({ good, problem }, { true }, 'query')
  return { range.start.line, range.start.character, range['end'].line, range['end'].character }
end

return function(t)
  t.test(':RiskQuery tells the probability of a range of lines', function()
    local bufnr = t.open('def f(a):\n    return a + 1\n')
    t.wait_for_diagnostics(bufnr)
    local text = t.message_of(function()
      vim.cmd('1,2RiskQuery')
    end, '%(line')
    t.matches(text, '[<>]?%d+%S+ .+ to .+ %(lines 1 to 2%)')
  end)

  t.test(':RiskQuery without a range is about the line of the cursor', function()
    local bufnr = t.open('a = 1\nb = 2\n')
    t.wait_for_diagnostics(bufnr)
    vim.api.nvim_win_set_cursor(0, { 2, 0 })
    local text = t.message_of(function()
      vim.cmd('RiskQuery')
    end, '%(line')
    t.matches(text, '%(line 2%)')
  end)

  t.test('a selection is asked about to the character, in the units of the encoding', function()
    local bufnr = t.open('x = "🙂e\u{301}漢z"\n')
    t.wait_for_diagnostics(bufnr)
    local encoding = require('risk_lsp.client').get(bufnr).offset_encoding
    typed('0f🙂vf漢<Esc>')
    local range = asked(t, function()
      vim.cmd("'<,'>RiskQuery")
    end)
    local expected = { ['utf-8'] = { 0, 5, 0, 15 }, ['utf-16'] = { 0, 5, 0, 10 } }
    t.equal(range, expected[encoding], 'range')
  end)

  t.test('a selection that ends on a combining mark holds all of the character', function()
    local bufnr = t.open('cafe\u{301} = 1\n')
    t.wait_for_diagnostics(bufnr)
    typed('0v3l<Esc>')
    local encoding = require('risk_lsp.client').get(bufnr).offset_encoding
    local range = asked(t, function()
      vim.cmd("'<,'>RiskQuery")
    end)
    t.equal(range, { 0, 0, 0, encoding == 'utf-8' and 6 or 5 }, 'range')
  end)

  t.test('the status line tells the probability of the selection as it grows', function()
    local bufnr = t.open('def f(a):\n    return a + 1\n')
    t.wait_for_diagnostics(bufnr)
    local status = require('risk_lsp').status
    vim.api.nvim_win_set_cursor(0, { 1, 0 })
    vim.cmd('normal! V')
    local text = t.wait('the probability of one line', function()
      return status():match('^risk [<>]?%d+%S+$')
    end)
    t.matches(text, '%d')
    vim.cmd('normal! j')
    t.equal(status(), 'risk …', 'status right after the selection changed')
    t.wait('the probability of two lines', function()
      return status():match('^risk [<>]?%d+%S+$')
    end)
    vim.cmd('normal! \27')
  end)

  t.test('a selection in a text that is not scored yet does not have it scored at once', function()
    local bufnr = t.open('a = 1\nb = 2\n')
    t.wait_for_diagnostics(bufnr)
    local status = require('risk_lsp').status
    vim.cmd('normal! V')
    t.wait('the probability of a line', function()
      return status():match('%d%S+$')
    end)
    require('risk_lsp').configure({ debounce = 60 })
    vim.api.nvim_buf_set_lines(bufnr, 0, 0, false, { 'new = 1' })
    local client = require('risk_lsp.client')
    local real, methods = client.request, {}
    client.request = function(_, method)
      table.insert(methods, method)
      return false
    end
    local good, text = pcall(status)
    client.request = real
    vim.cmd('normal! \27')
    require('risk_lsp').configure({ debounce = 0.05 })
    t.equal({ good, text, methods }, { true, 'risk …', {} }, 'status and questions')
  end)

  t.test('the status line tells the probability of the line of the cursor', function()
    local bufnr = t.open('a = 1\nb = 2\n')
    t.wait_for_diagnostics(bufnr)
    local text = t.wait('a probability', function()
      return require('risk_lsp').status():match('^risk ([<>]?%d+%S+)$')
    end)
    local lines = require('risk_lsp.lines')
    t.equal(text, lines.label(lines.get(bufnr), 1), 'number')
  end)

  t.test('the status line is empty where the server does not work', function()
    t.open('plain\n', 'txt')
    t.equal(require('risk_lsp').status(), '', 'status')
  end)
end
