-- The server of tests/editors/model_choice.py: a built-in model, and "small", which can be fetched.
return function(t)
  local asked = {}
  -- What a person is asked, and what they choose: the item whose text contains `wanted`.
  local wanted
  vim.ui.select = function(items, options, on_choice)
    local format = options.format_item or tostring
    for _, item in ipairs(items) do
      table.insert(asked, (options.prompt or '') .. ' ' .. format(item))
    end
    for index, item in ipairs(items) do
      if format(item):find(wanted, 1, true) then
        on_choice(item, index)
        return
      end
    end
    on_choice(nil, nil)
  end

  local function bundle()
    return require('risk_lsp').state().bundle
  end

  local function open()
    require('risk_lsp').setup({
      cmd = { vim.env.TEST_MODELS },
      settings = { debounce = 0.05, threshold = 0, maxDiagnostics = 100 },
    })
    local bufnr = t.open('def f(a):\n    return a + 1\n')
    t.wait_for_diagnostics(bufnr)
    return bufnr
  end

  local function numbers(bufnr)
    return vim.tbl_map(function(diagnostic)
      return diagnostic.user_data.lsp.data.probability
    end, t.diagnostics(bufnr))
  end

  t.test(':RiskModels lists models with size, licence, and what reads them', function()
    open()
    asked, wanted = {}, 'none of them'
    vim.cmd('RiskModels')
    t.wait('the list', function()
      return #asked == 2
    end)
    t.matches(asked[1], '%* built%-in: %d+ MB, built%-in')
    t.matches(asked[2], 'small: %d+ MB, Apache%-2%.0, to fetch, read by the bundle precise')
  end)

  t.test('a model is not fetched unless the person agrees', function()
    wanted = 'Not now'
    t.message_of(function()
      vim.cmd('RiskModels small')
    end, 'small was not fetched')
    t.equal(bundle(), 'default', 'bundle')
  end)

  t.test('a model that is chosen is fetched and gives the numbers, without a restart', function()
    local bufnr = vim.api.nvim_get_current_buf()
    local before, running = numbers(bufnr), require('risk_lsp.client').get(bufnr).id
    wanted = 'Fetch '
    vim.cmd('RiskModels small')
    t.wait('the other bundle', function()
      return bundle() == 'precise' and require('risk_lsp').state().state == 'ready'
    end)
    t.wait('its numbers', function()
      local now = numbers(bufnr)
      return #now > 0 and not vim.deep_equal(now, before)
    end)
    t.equal(require('risk_lsp.client').get(bufnr).id, running, 'client')
  end)

  t.test('names are completed on the command line', function()
    t.equal(vim.fn.getcompletion('RiskModels ', 'cmdline'), { 'built-in', 'small' }, 'names')
    t.equal(vim.fn.getcompletion('RiskModels sm', 'cmdline'), { 'small' }, 'names')
  end)

  t.test('a name that is none is told in one line', function()
    t.message_of(function()
      vim.cmd('RiskModels nothing')
    end, 'nothing')
  end)

  t.test(':RiskModels built-in goes back', function()
    vim.cmd('RiskModels built-in')
    t.wait('the first bundle', function()
      return bundle() == 'default' and require('risk_lsp').state().state == 'ready'
    end)
  end)
end
