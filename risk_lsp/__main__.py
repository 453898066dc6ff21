"""`python -m risk_lsp` is `risk-lsp`."""

import sys

from risk_lsp.cli import main

sys.exit(main())
