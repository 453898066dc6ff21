return function(t)
  t.test('hover holds a probability, or a rank', function()
    local bufnr = t.open('def area(width, height):\n    return width * height\n')
    t.wait_for_diagnostics(bufnr)
    vim.api.nvim_win_set_cursor(0, { 2, 6 })
    vim.lsp.buf.hover()
    local text = t.wait('the hover window', function()
      for _, window in ipairs(vim.api.nvim_list_wins()) do
        if vim.api.nvim_win_get_config(window).relative ~= '' then
          local shown = vim.api.nvim_win_get_buf(window)
          return table.concat(vim.api.nvim_buf_get_lines(shown, 0, -1, false), '\n')
        end
      end
    end)
    t.matches(text, 'Most of .*%d%S+.* comes from')
    t.matches(text, 'area')
  end)
end
