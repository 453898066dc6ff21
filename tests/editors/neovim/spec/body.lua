-- The body of a function: drawn below its header while it is written, cancelled, taken, with a hint.
-- The scripted model writes what it is told.
local preview = require('risk_lsp.preview')

local BODY = '\n    found = BUG(values)\n    return found'

return function(t)
  local settings = { inlineCompletion = true, debounce = 60 }
  require('risk_lsp').setup({ cmd = { vim.env.TEST_SCRIPTED }, settings = settings })
  local writes = vim.fn.fnamemodify(vim.env.TEST_SCRIPTED, ':h') .. '/scripted/writes'

  local function text(bufnr)
    return table.concat(vim.api.nvim_buf_get_lines(bufnr, 0, -1, false), '\n')
  end

  -- A function without a body, with the cursor in it.
  local function begin(comment)
    vim.fn.writefile({ vim.fn.json_encode({ BODY }) }, writes)
    local bufnr = t.open(('# %s\ndef first(values):\n    pass\n'):format(comment))
    t.wait('the model', function()
      return require('risk_lsp').state().state == 'ready'
    end)
    vim.api.nvim_win_set_cursor(0, { 2, 0 })
    vim.cmd('RiskWrite')
    return bufnr
  end

  local function rows(bufnr)
    local mark = vim.api.nvim_buf_get_extmarks(bufnr, preview.NAMESPACE, 0, -1, { details = true })[1]
    return mark
      and vim.tbl_map(function(row)
        return row[1]
      end, mark[4].virt_lines)
  end

  local function press(key)
    vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(key, true, false, true), 'xt', false)
  end

  t.test('it grows below the header, tinted by risk, and <Esc> leaves nothing of it', function()
    local bufnr = begin('PONDER')
    t.wait('the first line', preview.shown)
    t.equal(preview.shown(), {
      text = '\n    found = BUG(values)',
      words = 'writing, <Esc> cancels',
      is_finished = false,
    })
    t.equal(rows(bufnr), { { '    found = BUG(values)', 'RiskLspGhost3' } }, 'rows')
    press('<Esc>')
    t.equal(preview.shown(), nil)
    t.equal(rows(bufnr), nil, 'rows')
    t.equal(text(bufnr), '# PONDER\ndef first(values):\n    pass', 'the text')
    t.equal(vim.fn.maparg('<Esc>', 'n'), '', 'the mapping')
  end)

  t.test('an edit cancels it', function()
    local bufnr = begin('PONDER')
    t.wait('the first line', preview.shown)
    vim.api.nvim_buf_set_lines(bufnr, 0, 1, false, { '# edited' })
    t.wait('it to go', function()
      return preview.shown() == nil
    end)
    t.equal(rows(bufnr), nil, 'rows')
  end)

  t.test('a finished one is taken by <Tab>, and its diagnostic comes at once', function()
    local bufnr = begin('quick')
    t.wait('the finished text', function()
      return preview.shown() and preview.shown().is_finished
    end)
    t.equal(#rows(bufnr), 2, 'rows')
    t.matches(preview.shown().words, '^1 line worth a look, 63%%: <Tab> accepts')
    press('<Tab>')
    t.equal(t.covered(bufnr, t.wait_for_diagnostics(bufnr)), { 'found = BUG(values)' })
    t.equal(text(bufnr), '# quick\ndef first(values):' .. BODY, 'the text')
  end)

  t.test('a finished one that is dismissed leaves the buffer as it was', function()
    local bufnr = begin('quick')
    t.wait('the finished text', function()
      return preview.shown() and preview.shown().is_finished
    end)
    press('<Esc>')
    t.equal(rows(bufnr), nil, 'rows')
    t.equal(text(bufnr), '# quick\ndef first(values):\n    pass', 'the text')
  end)

  t.test('with a hint, the body begins with it', function()
    local bufnr = begin('PONDER')
    t.wait('the first line', preview.shown)
    press('<Esc>')
    vim.api.nvim_buf_set_lines(bufnr, 0, 1, false, { '# quick' })
    vim.cmd('RiskWrite the first of them')
    t.wait('the finished text', function()
      return preview.shown() and preview.shown().is_finished
    end)
    press('<Tab>')
    t.wait('the text', function()
      return text(bufnr):find('# the first of them\n    found', 1, true)
    end)
  end)
end
