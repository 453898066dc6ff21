-- A repair from the underline to the end of it, with the scripted model.
local samples = dofile(vim.env.TEST_HERE .. '/samples.lua')

return function(t)
  local person = dofile(vim.env.TEST_HERE .. '/person.lua').sit_down()
  local settings = { debounce = 0.05, repairSeconds = 300 }
  require('risk_lsp').setup({ cmd = { vim.env.TEST_SCRIPTED }, settings = settings })

  t.test('a repair is asked for and accepted: doctests pass, and the underline is gone', function()
    local bufnr = t.open(samples.FAULTY)
    local found = t.wait_for_diagnostics(bufnr)
    t.equal(t.covered(bufnr, found), { 'if number > BUG:' })
    person.chosen = { 'Run', 'Apply' }
    local shown, echo = {}, vim.api.nvim_echo
    vim.api.nvim_echo = function(chunks, ...)
      if vim.startswith(chunks[1][1], 'risk-lsp repair') then
        table.insert(shown, chunks[1][1])
      end
      return echo(chunks, ...)
    end
    vim.cmd(samples.FAULTY_LINE .. 'RiskRepair')
    t.wait('the end of the underline', function()
      return #t.diagnostics(bufnr) == 0
    end)
    t.wait('the end of its progress', function()
      return not require('risk_lsp.progress').is_repairing()
    end)
    vim.api.nvim_echo = echo
    t.matches(shown[1], '^risk%-lsp repair: .+ %(%d+%%%)$')
    t.equal(shown[#shown], 'risk-lsp repair: repaired')
    t.equal(vim.fn.getline(samples.FAULTY_LINE), '        if number > best:', 'the line')
    vim.cmd('silent write')
    vim.fn.system({ vim.env.TEST_PYTHON, '-m', 'doctest', vim.api.nvim_buf_get_name(bufnr) })
    t.equal(vim.v.shell_error, 0, 'the exit status of the doctests')
  end)
end
