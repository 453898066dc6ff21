-- Without trust no code of a workspace is run. Whoever starts the sandbox, or runs the program, leaves a file: see `run`.
local samples = dofile(vim.env.TEST_HERE .. '/samples.lua')

local CANARY = vim.env.TEST_FOLDER .. '/the-program-has-run'
local FAULTY = samples.FAULTY .. ('\nopen(%q, "w").close()\n'):format(CANARY)
local WHY = ' (runs no tests: this workspace is not trusted)'

local function exists(file)
  return vim.fn.filereadable(file) == 1
end

local function repairs_in_menu(bufnr)
  local place = { line = samples.FAULTY_LINE - 1, character = 8 }
  local params = {
    textDocument = { uri = vim.uri_from_bufnr(bufnr) },
    range = { start = place, ['end'] = place },
    context = { diagnostics = {} },
  }
  local answers = assert(vim.lsp.buf_request_sync(bufnr, 'textDocument/codeAction', params, 60000))
  local _, answer = next(answers)
  return vim.tbl_filter(function(title)
    return vim.startswith(title, 'Request a repair')
  end, vim.tbl_map(function(action)
    return action.title
  end, answer.result))
end

return function(t)
  local is_trusted = vim.env.TEST_TRUSTED == 'yes'
  local person = dofile(vim.env.TEST_HERE .. '/person.lua').sit_down()
  require('risk_lsp').setup({
    cmd = { vim.env.TEST_SCRIPTED },
    settings = { debounce = 0.05, trusted = is_trusted, repairSeconds = 300 },
  })
  local bufnr = t.open(FAULTY)
  t.wait_for_diagnostics(bufnr)

  if is_trusted then
    t.test('with trust and consent something runs, as the canary shows', function()
      person.chosen = { 'Run' }
      vim.cmd(samples.FAULTY_LINE .. 'RiskRepair')
      t.wait('the canary', function()
        return exists(vim.env.TEST_CANARY)
      end)
    end)
    return
  end

  t.test('without trust the menu offers repairs that run nothing, and says why', function()
    local titles = repairs_in_menu(bufnr)
    assert(#titles > 0, 'no repairs')
    for _, title in ipairs(titles) do
      assert(vim.endswith(title, WHY), title)
    end
  end)

  t.test('without trust a repair is a suggestion, and no code has run', function()
    person.chosen = { 'Apply' }
    vim.cmd(samples.FAULTY_LINE .. 'RiskRepair')
    t.wait('the change', function()
      return not vim.fn.getline(samples.FAULTY_LINE):find('BUG')
    end)
    t.equal(exists(vim.env.TEST_CANARY), false, 'a sandbox')
    t.equal(exists(CANARY), false, 'a run of the program')
  end)
end
