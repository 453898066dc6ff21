local STRANGE = {
  'greeting = "🙂🙂"  # two emoji',
  '漢字 = "値段は五円"',
  'cafe\u{301} = "e\u{301}e\u{301}"',
  '\fdef total(items):',
  '    family = "👩‍👩‍👧" + 漢字 * 2',
  '\tvalue = "a\fb" + "\u{2028}"   ',
  '',
  '\u{3000}odd = 1',
}

local STRIPPED = {
  'greeting = "🙂🙂"  # two emoji',
  '漢字 = "値段は五円"',
  'cafe\u{301} = "e\u{301}e\u{301}"',
  'def total(items):',
  'family = "👩‍👩‍👧" + 漢字 * 2',
  'value = "a\fb" + "\u{2028}"',
  'odd = 1',
}

return function(t)
  t.test('lines worth reading are shown as hints with a probability, or a rank', function()
    local bufnr = t.open('def f(a):\n    return a + 1\n')
    local first = t.wait_for_diagnostics(bufnr)[1]
    t.equal(first.severity, vim.diagnostic.severity.HINT, 'severity')
    t.matches(first.message, '^[<>]?%d+%S+ .+ to .+')
  end)

  t.test('the encoding is the one that this Neovim prefers', function()
    local expected = vim.env.TEST_ENCODING or (vim.fn.has('nvim-0.11') == 1 and 'utf-8' or 'utf-16')
    t.equal(require('risk_lsp.client').get(0).offset_encoding, expected, 'encoding')
  end)

  t.test(
    'a diagnostic covers exactly the text of its line: emoji, CJK, combining marks, form feeds',
    function()
      local bufnr = t.open(table.concat(STRANGE, '\n') .. '\n')
      t.equal(t.covered(bufnr, t.wait_for_diagnostics(bufnr)), STRIPPED)
    end
  )

  t.test('a diagnostic covers exactly the text of its line: CRLF', function()
    local bufnr = t.open(table.concat(STRANGE, '\r\n') .. '\r\n')
    t.equal(vim.bo[bufnr].fileformat, 'dos', 'file format')
    t.equal(t.covered(bufnr, t.wait_for_diagnostics(bufnr)), STRIPPED)
  end)

  t.test('after edits the diagnostics are those of the new text', function()
    local bufnr = t.open(table.concat(STRANGE, '\n') .. '\n')
    t.wait_for_diagnostics(bufnr)
    t.edit_and_wait(bufnr, function()
      vim.api.nvim_buf_set_lines(bufnr, 1, 2, false, {})
      vim.api.nvim_buf_set_text(bufnr, 0, 12, 0, 16, { '𝔘' })
    end, function(found)
      return #found == #STRIPPED - 1
        and t.covered(bufnr, found)[1] == 'greeting = "𝔘🙂"  # two emoji'
    end)
    local expected = vim.list_slice(STRIPPED, 3)
    table.insert(expected, 1, 'greeting = "𝔘🙂"  # two emoji')
    t.equal(t.covered(bufnr, t.diagnostics(bufnr)), expected)
  end)

  t.test('undo brings the diagnostics of the old text back', function()
    local bufnr = t.open('a = 1\nb = 2\nc = 3\n')
    t.wait_for_diagnostics(bufnr)
    t.edit_and_wait(bufnr, function()
      vim.cmd('2delete')
    end, function(found)
      return #found == 2
    end)
    t.edit_and_wait(bufnr, function()
      vim.cmd('silent undo')
    end, function(found)
      return #found == 3
    end)
    t.equal(t.covered(bufnr, t.diagnostics(bufnr)), { 'a = 1', 'b = 2', 'c = 3' })
  end)

  t.test('no signs: the sign column stays shut while diagnostics come and go', function()
    local bufnr = t.open('a = 1\n')
    t.wait_for_diagnostics(bufnr)
    t.equal(vim.fn.sign_getplaced(bufnr, { group = '*' })[1].signs, {}, 'signs')
    for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(bufnr, -1, 0, -1, { details = true })) do
      t.equal(mark[4].sign_text, nil, 'sign text')
    end
    t.equal(vim.fn.getwininfo(vim.fn.win_getid())[1].textoff, 0, 'columns before the text')
  end)

  t.test('what the heat map says is not written behind the line as well', function()
    local bufnr = t.open('a = 1\n')
    t.wait_for_diagnostics(bufnr)
    for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(bufnr, -1, 0, -1, { details = true })) do
      for _, chunk in ipairs(mark[4].virt_text or {}) do
        assert(not chunk[1]:find('to need an edit') and not chunk[1]:find('to read'), chunk[1])
      end
    end
  end)

  t.test('settings change without a restart', function()
    local bufnr = t.open('a = 1\nb = 2\nc = 3\n')
    t.wait_for_diagnostics(bufnr)
    require('risk_lsp').configure({ maxDiagnostics = 1 })
    t.wait('one diagnostic', function()
      return #t.diagnostics(bufnr) == 1
    end)
    require('risk_lsp').configure({ maxDiagnostics = 1000 })
    t.wait('all diagnostics', function()
      return #t.diagnostics(bufnr) == 3
    end)
  end)

  t.test('one server serves all buffers', function()
    local one = t.open('a = 1\n')
    local other = t.open('b = 2\n')
    local client = require('risk_lsp.client')
    t.equal(client.get(one).id, client.get(other).id, 'client')
  end)
end
