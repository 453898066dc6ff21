-- What a user's init.lua would say; the plugin itself is installed as a package.
vim.o.swapfile = false
vim.o.termguicolors = true
if vim.env.TEST_ENCODING then
  vim.lsp.config(
    '*',
    { capabilities = { general = { positionEncodings = { vim.env.TEST_ENCODING } } } }
  )
end
require('risk_lsp').setup({
  cmd = { vim.env.RISK_LSP, 'serve' },
  settings = { threshold = 0, maxDiagnostics = 1000, debounce = 0.05, repairSeconds = 300 },
})
