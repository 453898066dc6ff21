-- The commands' names, and nothing else: what a command needs is loaded when it runs.
if vim.g.loaded_risk_lsp or vim.fn.has('nvim-0.8') == 0 then
  return
end
vim.g.loaded_risk_lsp = true

local function ignore_kinds()
  return { 'stored', 'source', 'stop' }
end

local function styles()
  return { 'on', 'off', 'text', 'line' }
end

local function models(lead)
  return require('risk_lsp.models').complete(lead)
end

local commands = {
  RiskQuery = { range = true, desc = 'Probability that the range has to be edited' },
  RiskNext = { count = 1, desc = 'Go to the next risky line' },
  RiskPrev = { count = 1, desc = 'Go to the previous risky line' },
  RiskHeatmap = { nargs = '?', complete = styles, desc = 'Show or hide the heat map' },
  RiskSnooze = { nargs = '?', desc = 'Show nothing for some minutes' },
  RiskIgnore = { nargs = '?', complete = ignore_kinds, desc = 'Ignore the line from now on' },
  RiskGenerated = { range = true, bang = true, desc = 'Mark the range as written by a model' },
  RiskWrite = { range = true, nargs = '*', desc = 'Write the body of a function' },
  RiskRepair = { range = true, bang = true, nargs = '*', desc = 'Look for a repair, or end that' },
  RiskExplain = { range = true, desc = 'Show the tokens behind the probability of the range' },
  RiskComplete = { desc = 'Show what the model would write at the cursor' },
  RiskAnalyse = { desc = 'Score the buffer at once' },
  RiskReview = { desc = 'List the riskiest lines since the last commit' },
  RiskReport = { nargs = '?', complete = 'file', desc = 'Write the HTML report and open it' },
  RiskModels = { nargs = '?', complete = models, desc = 'Choose the model that gives the numbers' },
  RiskRestart = { desc = 'Restart the server' },
}

for name, attributes in pairs(commands) do
  vim.api.nvim_create_user_command(name, function(args)
    require('risk_lsp.commands')[name](args)
  end, attributes)
end
