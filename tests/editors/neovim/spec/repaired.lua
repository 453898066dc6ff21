-- A repair from the underline to the end of it, with the scripted model: a line with BUG is 63% likely to need an edit.
local FAULTY = [[
def largest(numbers):
    """The largest of some numbers.

    >>> largest([1, 3, 2])
    3
    """
    best = numbers[0]
    for number in numbers:
        if number > BUG:
            best = number
    return best
]]

return function(t)
  local person = dofile(vim.env.TEST_HERE .. '/person.lua').sit_down()
  local settings = { debounce = 0.05, repairSeconds = 300 }
  require('risk_lsp').setup({ cmd = { vim.env.TEST_SCRIPTED }, settings = settings })

  t.test('a repair is asked for and accepted: doctests pass, and the underline is gone', function()
    local bufnr = t.open(FAULTY)
    local found = t.wait_for_diagnostics(bufnr)
    t.equal(t.covered(bufnr, found), { 'if number > BUG:' })
    person.chosen = { 'Run', 'Apply' }
    vim.cmd('9RiskRepair')
    t.wait('the end of the underline', function()
      return #t.diagnostics(bufnr) == 0
    end)
    t.equal(vim.fn.getline(9), '        if number > best:', 'the line')
    vim.cmd('silent write')
    vim.fn.system({ vim.env.TEST_PYTHON, '-m', 'doctest', vim.api.nvim_buf_get_name(bufnr) })
    t.equal(vim.v.shell_error, 0, 'the exit status of the doctests')
  end)
end
