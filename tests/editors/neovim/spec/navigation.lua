local function line()
  return vim.api.nvim_win_get_cursor(0)[1]
end

return function(t)
  t.test(':RiskNext and :RiskPrev go from one risky line to the next, around the end', function()
    local bufnr = t.open('a = 1\n\n    \n  b = 2\n\nc = 3\n')
    t.wait_for_diagnostics(bufnr)
    vim.api.nvim_win_set_cursor(0, { 2, 0 })
    local visited = {}
    for _, command in ipairs({ 'RiskNext', 'RiskNext', 'RiskNext', 'RiskPrev', 'RiskPrev' }) do
      vim.cmd(command)
      table.insert(visited, line())
    end
    t.equal(visited, { 4, 6, 1, 6, 4 }, 'lines')
  end)

  t.test('a count goes further, and the cursor lands on the text', function()
    local bufnr = t.open('a = 1\n\n  b = 2\n\n  c = 3\n')
    t.wait_for_diagnostics(bufnr)
    vim.api.nvim_win_set_cursor(0, { 1, 0 })
    vim.cmd('RiskNext 2')
    t.equal(vim.api.nvim_win_get_cursor(0), { 5, 2 }, 'cursor')
    vim.cmd('RiskPrev 2')
    t.equal(line(), 1, 'line')
  end)

  t.test('the place before the jump is in the jump list', function()
    local bufnr = t.open('a = 1\n\nb = 2\n')
    t.wait_for_diagnostics(bufnr)
    vim.cmd('RiskNext')
    vim.cmd('normal! ``')
    t.equal(line(), 1, 'line')
  end)

  t.test('without risky lines the cursor stays', function()
    t.open('nothing\n', 'txt')
    t.message_of(function()
      vim.cmd('RiskNext')
    end, 'no risky lines')
    t.equal(line(), 1, 'line')
  end)
end
