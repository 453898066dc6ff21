"""The real language server over stdio, with the scripted worker instead of a model.

Usage: python -m tests.server.scripted_server FOLDER [JSON of the server's options]
"""

from __future__ import annotations

import json
import sys

from risk_lsp.server.app import run_stdio
from risk_lsp.server.options import ServerOptions

if __name__ == "__main__":
    given = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    options = ServerOptions(**{"data_folder": f"{sys.argv[1]}/data", **given})
    sys.exit(run_stdio(options, command=(sys.executable, "-m", "tests.server.scripted_worker", sys.argv[1])))
