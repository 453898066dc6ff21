return function(t)
  t.test(':checkhealth tells of the server, its version, its state and this Neovim', function()
    local bufnr = t.open('a = 1\n')
    t.wait_for_diagnostics(bufnr)
    vim.cmd('checkhealth risk_lsp')
    local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
    vim.cmd('bwipeout!')
    t.matches(text, 'OK Neovim %d+%.%d+%.%d+')
    t.matches(text, 'OK command: .*risk%-lsp serve')
    t.matches(text, 'OK version: risk%-lsp %d')
    t.matches(text, 'OK state: %a+')
    t.matches(text, 'position encoding: utf%-')
    assert(not text:find('ERROR'), text)
  end)

  t.test(':help risk_lsp finds the manual, and every command is in it', function()
    vim.cmd('helptags ' .. vim.api.nvim_get_runtime_file('doc/risk_lsp.txt', false)[1]:match('.*/'))
    vim.cmd('help risk_lsp')
    t.matches(vim.api.nvim_buf_get_name(0), 'risk_lsp%.txt$')
    vim.cmd('helpclose')
    for name in pairs(vim.api.nvim_get_commands({})) do
      if name:find('^Risk') then
        vim.cmd('help :' .. name)
        vim.cmd('helpclose')
      end
    end
  end)
end
