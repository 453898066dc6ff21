--- What the user commands do; plugin/risk_lsp.lua names them.
local M = {}

local client = require('risk_lsp.client')
local message = require('risk_lsp.message')

local SNOOZE_MINUTES = 30

---@return integer bufnr
---@return string uri
local function here()
  local bufnr = vim.api.nvim_get_current_buf()
  return bufnr, vim.uri_from_bufnr(bufnr)
end

--- The range of a command, or nil after saying that there is no server.
---@param args table
---@return risk_lsp.Range?
local function range_of(args)
  local bufnr = here()
  if not client.get(bufnr) then
    client.say_not_attached()
    return
  end
  return require('risk_lsp.selection').of_command(bufnr, args)
end

function M.RiskQuery(args)
  local bufnr = here()
  local range = range_of(args)
  if not range then
    return
  end
  require('risk_lsp.selection').query(bufnr, range, function(error, _, sentence)
    if error then
      message.warn(error.message)
      return
    end
    local lines = args.line1 == args.line2 and ('line %d'):format(args.line1)
      or ('lines %d to %d'):format(args.line1, args.line2)
    message.info(('%s (%s)'):format(sentence, lines))
  end)
end

function M.RiskNext(args)
  require('risk_lsp.navigate').jump(args.count)
end

function M.RiskPrev(args)
  require('risk_lsp.navigate').jump(-args.count)
end

function M.RiskHeatmap(args)
  local heatmap = require('risk_lsp.heatmap')
  local wish = args.args
  if wish == '' then
    heatmap.show(not heatmap.is_shown())
  elseif wish == 'on' or wish == 'off' then
    heatmap.show(wish == 'on')
  elseif wish == 'text' or wish == 'line' then
    heatmap.set_style(wish)
  else
    message.warn(':RiskHeatmap expects on, off, text, line, or nothing to toggle')
  end
end

function M.RiskSnooze(args)
  local minutes = args.args == '' and SNOOZE_MINUTES or tonumber(args.args)
  if not minutes or minutes < 0 then
    message.warn(':RiskSnooze expects a number of minutes, 0 to end the snooze')
    return
  end
  client.execute(here(), 'riskLsp.snooze', { minutes })
end

function M.RiskIgnore(args)
  local bufnr, uri = here()
  local line = vim.api.nvim_win_get_cursor(0)[1] - 1
  local kind = args.args == '' and 'stored' or args.args
  if kind == 'stop' then
    client.execute(bufnr, 'riskLsp.stopIgnoring', { uri, line })
  elseif kind == 'stored' or kind == 'source' then
    client.execute(bufnr, 'riskLsp.ignoreLine', { uri, line, kind })
  else
    message.warn(':RiskIgnore expects stored, source, stop, or nothing for stored')
  end
end

function M.RiskGenerated(args)
  local bufnr, uri = here()
  local range = range_of(args)
  if range then
    local command = args.bang and 'riskLsp.unmarkGenerated' or 'riskLsp.markGenerated'
    client.execute(bufnr, command, { uri, range })
  end
end

function M.RiskRepair(args)
  local bufnr, uri = here()
  if args.bang then
    client.execute(bufnr, 'riskLsp.cancelRepair', { uri })
    return
  end
  local range = range_of(args)
  if range then
    require('risk_lsp.repair').request(bufnr, uri, range, args.args)
  end
end

function M.RiskExplain(args)
  local bufnr, uri = here()
  local range = range_of(args)
  if range then
    require('risk_lsp.repair').explain(bufnr, { uri, range })
  end
end

function M.RiskComplete()
  require('risk_lsp.ghost').ask()
end

function M.RiskWrite(args)
  local bufnr, uri = here()
  local range = range_of(args)
  if not range then
    return
  end
  local hint = args.args ~= '' and args.args or nil
  local command = hint and 'riskLsp.writeBodyWithHint' or 'riskLsp.writeBody'
  client.execute(bufnr, command, { uri, range, hint })
end

function M.RiskAnalyse()
  local bufnr, uri = here()
  client.execute(bufnr, 'riskLsp.analyseNow', { uri })
end

--- Write `html` and return where.
---@param html string
---@param path string empty for a file of the session
---@return string?
local function write_report(html, path)
  path = path ~= '' and vim.fn.fnamemodify(vim.fn.expand(path), ':p')
    or vim.fn.tempname() .. '.html'
  local file, problem = io.open(path, 'wb')
  if not file then
    message.warn('cannot write the report: ' .. problem)
    return
  end
  file:write(html)
  file:close()
  return path
end

function M.RiskReport(args)
  local bufnr, uri = here()
  client.execute(bufnr, 'riskLsp.report', { uri }, function(result)
    local path = write_report(result.html, args.args)
    if path then
      message.info('the report is ' .. path)
    end
    if path and args.args == '' and vim.ui.open then
      vim.ui.open(path)
    end
  end)
end

function M.RiskReview()
  local bufnr, uri = here()
  client.execute(bufnr, 'riskLsp.reviewGenerated', { uri }, function(answer)
    if #answer.lines == 0 then
      message.info(answer.message)
      return
    end
    local encoding, items = client.get(bufnr).offset_encoding, {}
    for _, line in ipairs(answer.lines) do -- one by one: of several, Neovim would make an order by file
      local item = vim.lsp.util.locations_to_items({ line }, encoding)[1]
      item.text = ('%s  %s'):format(line.label, line.text)
      table.insert(items, item)
    end
    vim.fn.setqflist({}, ' ', { title = 'risk-lsp: ' .. answer.message, items = items })
    vim.cmd('botright copen')
  end, { reports_progress = true })
end

function M.RiskModels(args)
  require('risk_lsp.models').choose(here(), args.args)
end

function M.RiskRestart()
  require('risk_lsp.lifecycle').restart()
end

return M
