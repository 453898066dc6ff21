-- Repairs and explanations: asked for, agreed to, and applied.
local samples = dofile(vim.env.TEST_HERE .. '/samples.lua')

local FAULTY = samples.FAULTY:gsub('number > BUG', 'number < best')
local LINE = samples.FAULTY_LINE

return function(t)
  local person = dofile(vim.env.TEST_HERE .. '/person.lua').sit_down()

  local function text(bufnr)
    return table.concat(vim.api.nvim_buf_get_lines(bufnr, 0, -1, false), '\n') .. '\n'
  end

  local function floating_text()
    for _, window in ipairs(vim.api.nvim_list_wins()) do
      if vim.api.nvim_win_get_config(window).relative ~= '' then
        return text(vim.api.nvim_win_get_buf(window))
      end
    end
  end

  t.test('a wrong operator is repaired by a code action, and then the doctests pass', function()
    local bufnr = t.open(FAULTY)
    t.wait_for_diagnostics(bufnr)
    person.chosen = { 'Run', 'Apply' }
    vim.api.nvim_win_set_cursor(0, { LINE, 8 })
    vim.lsp.buf.code_action({
      apply = true,
      filter = function(action)
        return action.title == 'Request a repair of this line'
      end,
    })
    t.wait('the repair', function()
      return text(bufnr) ~= FAULTY
    end)
    t.equal(text(bufnr), (FAULTY:gsub('number < best', 'number > best')), 'the text')
    t.equal(person.chosen, {}, 'what was not asked')
    vim.cmd('silent write')
    local python = vim.fn.fnamemodify(vim.env.RISK_LSP, ':h') .. '/python'
    vim.fn.system({ python, '-m', 'doctest', vim.api.nvim_buf_get_name(bufnr) })
    t.equal(vim.v.shell_error, 0, 'the exit status of the doctests')
  end)

  t.test(':RiskRepair! ends a repair half-way, and nothing is changed', function()
    local slow = FAULTY:gsub('>>> largest', '>>> import time; time.sleep(50); largest')
    local bufnr = t.open(slow)
    t.wait_for_diagnostics(bufnr)
    person.chosen = { 'Run', 'Apply' }
    vim.cmd(LINE .. 'RiskRepair')
    t.wait('consent', function()
      return #person.chosen == 1
    end)
    vim.cmd('RiskRepair!')
    local ended = false
    local here = { vim.uri_from_bufnr(bufnr) }
    require('risk_lsp.client').execute(bufnr, 'riskLsp.cancelRepair', here, function(found)
      ended = not found
    end)
    t.wait('its end', function()
      return ended
    end)
    t.equal(text(bufnr), slow, 'the text')
    t.equal(person.chosen, { 'Apply' }, 'what was not asked')
  end)

  t.test('a diff that is discarded changes nothing', function()
    local bufnr = t.open(FAULTY)
    t.wait_for_diagnostics(bufnr)
    person.chosen = { 'Run', 'Discard' }
    vim.cmd(LINE .. 'RiskRepair')
    t.wait('both answers', function()
      return #person.chosen == 0
    end)
    t.equal(text(bufnr), FAULTY, 'the text')
  end)

  t.test('the code action with a hint asks for it', function()
    local bufnr = t.open(FAULTY)
    t.wait_for_diagnostics(bufnr)
    local prompts = {}
    vim.ui.input = function(options, on_answer)
      table.insert(prompts, options.prompt)
      on_answer(nil)
    end
    vim.fn.input = function(options)
      table.insert(prompts, options.prompt)
      return ''
    end
    local range = { start = { line = LINE - 1, character = 0 } }
    range['end'] = range.start
    local arguments = { vim.uri_from_bufnr(bufnr), range }
    require('risk_lsp.client').execute(bufnr, 'riskLsp.repairWithHint', arguments)
    t.wait('the question', function()
      return #prompts == 1
    end)
    t.matches(prompts[1], 'What do you think is wrong')
  end)

  t.test('an explanation opens beside the line', function()
    local bufnr = t.open(FAULTY)
    t.wait_for_diagnostics(bufnr)
    vim.cmd(LINE .. 'RiskExplain')
    local shown = t.wait('the window', floating_text)
    t.matches(shown, 'The tokens that carry most of it')
    t.matches(shown, 'in line 9')
  end)
end
