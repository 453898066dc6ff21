-- What was generated since the last commit, as one quickfix list. The scripted model finds lines with BUG likely.
return function(t)
  require('risk_lsp').setup({ cmd = { vim.env.TEST_SCRIPTED } })

  local function git(...)
    local folder = vim.env.TEST_FOLDER
    local command = { 'git', '-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@b', ... }
    vim.fn.system(command)
    t.equal(vim.v.shell_error, 0, table.concat(command, ' '))
  end

  t.test(':RiskReview lists lines of all files, the likeliest first', function()
    git('init', '-q')
    t.open('one = MAYBE\n')
    t.open('é = 1\n    two = "é" + BUG\n')
    git('commit', '-q', '--allow-empty', '-m', 'first')
    t.wait('the model', function()
      return require('risk_lsp').state().state == 'ready'
    end)
    require('risk_lsp').configure({ threshold = 0.1 })
    vim.cmd('RiskReview')
    local found = t.wait('the list', function()
      local list = vim.fn.getqflist({ items = 1, title = 1 })
      return #list.items > 0 and list
    end)
    t.equal(found.title, 'risk-lsp: 2 lines above 10% in 2 files with changes since the last commit')
    local seen = vim.tbl_map(function(item)
      local name = vim.fn.fnamemodify(vim.fn.bufname(item.bufnr), ':t')
      return { name, item.lnum, item.col, item.text }
    end, found.items)
    t.equal(seen, {
      { 'file2.py', 2, 5, '63%  two = "é" + BUG' },
      { 'file1.py', 1, 1, '22%  one = MAYBE' },
    })
    t.equal(vim.bo.filetype, 'qf', 'the window')
    vim.cmd('cclose')
  end)

  t.test('where nothing stands out it says so', function()
    for number = 1, 2 do
      vim.fn.writefile({ 'one = 1' }, ('%s/file%d.py'):format(vim.env.TEST_FOLDER, number))
    end
    t.message_of(function()
      vim.cmd('RiskReview')
    end, 'no line above 10%% in 2 files')
  end)
end
