vim.o.swapfile = false
