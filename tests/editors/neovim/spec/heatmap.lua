local heatmap = require('risk_lsp.heatmap')

local function marks(bufnr)
  local found = {}
  local all = vim.api.nvim_buf_get_extmarks(bufnr, heatmap.NAMESPACE, 0, -1, { details = true })
  for _, mark in ipairs(all) do
    if not mark[4].invalid then
      table.insert(found, {
        row = mark[2],
        details = mark[4],
        text = mark[4].virt_text[1][1] .. mark[4].virt_text[2][1],
      })
    end
  end
  return found
end

-- The heat map of a server that answered so.
local function answer(t, bufnr, lines, steps, labels)
  local client = require('risk_lsp.client')
  local real = client.request
  client.request = function(_, _, _, on_answer)
    local version = client.version(bufnr)
    on_answer(
      nil,
      { version = version, lines = lines, labels = labels, steps = steps, outside = vim.NIL }
    )
    return true
  end
  local good, problem = pcall(require('risk_lsp.lines').refresh, bufnr)
  client.request = real
  t.equal({ good, problem }, { true }, 'refresh')
end

return function(t)
  t.test('the numbers on the screen are those of the server, line by line', function()
    local bufnr = t.open('def f(a):\n    return a + 1\n\nprint(f(2))\n')
    local lines = t.wait('numbers of the lines', function()
      local lines = require('risk_lsp.lines')
      return lines.is_current(bufnr) and lines.get(bufnr)
    end)
    t.equal(lines.lines[3], vim.NIL, 'number of a blank line')
    local shown = {}
    for _, mark in ipairs(marks(bufnr)) do
      t.matches(mark.text, vim.pesc(lines.labels[mark.row + 1]))
      shown[mark.row + 1] = true
    end
    for number, step in ipairs(lines.steps) do
      t.equal(shown[number] or false, step > 0, 'whether line ' .. number .. ' is marked')
    end
  end)

  t.test('a step is told by the height of a bar and a percentage, not by colour alone', function()
    local bufnr = t.open('a = 1\nb = 2\nc = 3\nd = 4\ne = 5\n')
    t.wait_for_diagnostics(bufnr)
    answer(t, bufnr, { 0.001, 0.1, 0.25, 0.5, 0.999 }, { 0, 1, 2, 3, 4 })
    local texts = vim.tbl_map(function(mark)
      return vim.trim(mark.text)
    end, marks(bufnr))
    t.equal(texts, { '▁  10%', '▃  25%', '▅  50%', '▇ >99%' }, 'texts')
  end)

  t.test('where only the order is known, ranks stand beside the bars', function()
    local bufnr = t.open('a = 1\nb = 2\n\nc = 3\n')
    t.wait_for_diagnostics(bufnr)
    local labels = { '2nd', '1st', vim.NIL, '3rd' }
    answer(t, bufnr, { 0.02, 0.4, vim.NIL, 0.01 }, { 1, 3, 0, 0 }, labels)
    local texts = vim.tbl_map(function(mark)
      return vim.trim(mark.text)
    end, marks(bufnr))
    t.equal(texts, { '▁  2nd', '▅  1st' }, 'texts')
  end)

  t.test('the line style tints the line as well', function()
    local bufnr = t.open('a = 1\n')
    t.wait_for_diagnostics(bufnr)
    vim.cmd('RiskHeatmap line')
    answer(t, bufnr, { 0.5 }, { 3 })
    t.equal(marks(bufnr)[1].details.line_hl_group, 'RiskLspLine3', 'group')
    vim.cmd('RiskHeatmap text')
    answer(t, bufnr, { 0.5 }, { 3 })
    t.equal(marks(bufnr)[1].details.line_hl_group, nil, 'group')
  end)

  t.test('marks move with their lines, and a deleted line takes its mark along', function()
    local bufnr = t.open('a = 1\nb = 2\nc = 3\n')
    t.wait_for_diagnostics(bufnr)
    require('risk_lsp').configure({ debounce = 60 })
    answer(t, bufnr, { 0.1, 0.2, 0.3 }, { 1, 2, 3 })
    vim.api.nvim_buf_set_lines(bufnr, 0, 0, false, { '# new' })
    vim.api.nvim_buf_set_lines(bufnr, 2, 3, false, {})
    local rows = vim.tbl_map(function(mark)
      return mark.row
    end, marks(bufnr))
    require('risk_lsp').configure({ debounce = 0.05 })
    t.equal(rows, { 1, 2 }, 'rows')
  end)

  t.test(':RiskHeatmap hides it and shows it again', function()
    local bufnr = t.open('a = 1\n')
    t.wait_for_diagnostics(bufnr)
    answer(t, bufnr, { 0.5 }, { 3 })
    vim.cmd('RiskHeatmap')
    t.equal(#marks(bufnr), 0, 'marks when hidden')
    vim.cmd('RiskHeatmap')
    t.equal(#marks(bufnr), 1, 'marks when shown')
  end)

  t.test('its colours follow the colour scheme, and a user may set them', function()
    local function colour(name)
      return vim.api.nvim_get_hl(0, { name = name }).bg
    end
    vim.o.background = 'dark'
    local dark = colour('RiskLspLine4')
    vim.o.background = 'light'
    assert(dark ~= colour('RiskLspLine4'), 'the same background in dark and light')
    vim.o.background = 'dark'
    vim.api.nvim_set_hl(0, 'RiskLspLine4', { bg = 0x123456 })
    vim.cmd('doautocmd ColorScheme')
    t.equal(colour('RiskLspLine4'), 0x123456, "the user's colour")
    vim.api.nvim_set_hl(0, 'RiskLspLine4', {})
    require('risk_lsp.highlights').define()
  end)
end
