-- Ghost text: asked for, tinted, accepted whole and in parts, dismissed. The scripted model writes
-- what it is told.
local ghost = require('risk_lsp.ghost')

local BEFORE = 'def first(values):\n    \n'

return function(t)
  local settings = { inlineCompletion = true, debounce = 60 }
  require('risk_lsp').setup({ cmd = { vim.env.TEST_SCRIPTED }, settings = settings })

  local function text(bufnr)
    return table.concat(vim.api.nvim_buf_get_lines(bufnr, 0, -1, false), '\n')
  end

  local function marks(bufnr)
    return vim.api.nvim_buf_get_extmarks(bufnr, ghost.NAMESPACE, 0, -1, { details = true })
  end

  -- A file whose last line is an indentation, with the cursor behind it in insert mode.
  local function begin()
    local bufnr = t.open(BEFORE)
    t.wait('the model', function()
      return require('risk_lsp').state().state == 'ready'
    end)
    vim.o.virtualedit = 'onemore'
    vim.api.nvim_win_set_cursor(0, { 2, 4 })
    return bufnr
  end

  local function shown()
    return t.wait('ghost text', ghost.shown)
  end

  t.test('what the model would write is shown with words beside it, tinted by risk', function()
    local bufnr = begin()
    ghost.ask()
    local expected = 'return BUG values\n    # and on'
    t.equal(shown(), { text = expected, words = '1 line worth a look, 63%' })
    local found = marks(bufnr)
    t.equal(#found, 2, 'marks')
    local chunks = {}
    for _, mark in ipairs(found) do
      vim.list_extend(chunks, mark[4].virt_text)
      vim.list_extend(chunks, (mark[4].virt_lines or { {} })[1])
    end
    local groups = {}
    for _, chunk in ipairs(chunks) do
      groups[vim.trim(chunk[1])] = chunk[2]
    end
    t.equal(groups, {
      ['return BUG values'] = 'RiskLspGhost3',
      ['# and on'] = 'RiskLspGhost',
      ['1 line worth a look, 63%'] = 'RiskLspPercent',
    })
    t.equal(text(bufnr), BEFORE:sub(1, -2), 'the text')
  end)

  t.test('accepted text stands in the buffer, and its diagnostic comes at once', function()
    local bufnr = begin()
    ghost.ask()
    shown()
    t.equal(ghost.accept(), true)
    t.equal(text(bufnr), 'def first(values):\n    return BUG values\n    # and on', 'the text')
    t.equal(vim.api.nvim_win_get_cursor(0), { 3, 12 }, 'the cursor')
    t.equal(marks(bufnr), {}, 'marks')
    t.equal(t.covered(bufnr, t.wait_for_diagnostics(bufnr)), { 'return BUG values' })
  end)

  t.test('a word and a line are accepted, and the rest stays', function()
    local bufnr = begin()
    ghost.ask()
    shown()
    ghost.accept_word()
    t.equal(ghost.shown().text, ' BUG values\n    # and on')
    ghost.accept_line()
    t.equal(ghost.shown().text, '\n    # and on')
    ghost.accept_line()
    t.equal(ghost.shown(), nil)
    t.equal(text(bufnr), 'def first(values):\n    return BUG values\n    # and on', 'the text')
  end)

  t.test('the next text is shown, and after the last the first', function()
    begin()
    ghost.ask()
    shown()
    ghost.next()
    t.equal(ghost.shown(), { text = 'return values[0]', words = 'no line worth a look, <1%' })
    ghost.next()
    t.matches(ghost.shown().text, '^return BUG')
  end)

  t.test('text that is dismissed leaves nothing', function()
    local bufnr = begin()
    ghost.ask()
    shown()
    ghost.dismiss()
    t.equal(marks(bufnr), {}, 'marks')
    t.equal(ghost.accept(), false)
    t.equal(text(bufnr), BEFORE:sub(1, -2), 'the text')
  end)

  t.test('it comes by itself, shrinks as it is typed, and goes when anything else is', function()
    local bufnr = begin()
    local function type_in(letters)
      local column = vim.api.nvim_win_get_cursor(0)[2]
      vim.api.nvim_buf_set_text(bufnr, 1, column, 1, column, { letters })
      vim.api.nvim_win_set_cursor(0, { 2, column + #letters })
      vim.api.nvim_exec_autocmds('TextChangedI', {})
    end
    vim.api.nvim_exec_autocmds('TextChangedI', {})
    shown()
    type_in('return')
    t.equal(ghost.shown().text, ' BUG values\n    # and on')
    type_in('ed')
    t.equal(ghost.shown(), nil)
    t.equal(marks(bufnr), {}, 'marks')
  end)

  t.test('where the setting is off nothing is asked for', function()
    require('risk_lsp').configure({ inlineCompletion = false })
    begin()
    vim.api.nvim_exec_autocmds('TextChangedI', {})
    vim.wait(1500)
    t.equal(ghost.shown(), nil)
  end)
end
