"""The real language server over stdio, with a catalogue and bundles of a test's own.

Usage: python -m tests.server.model_server CATALOGUE BUNDLES DATA [BUNDLE]

CATALOGUE is a JSON file like risk_lsp/model/catalogue.json. BUNDLES has the folder `default` and what is shipped
beside it. BUNDLE is what `risk-lsp serve --bundle` would name.
"""

from __future__ import annotations

import sys
from pathlib import Path

from risk_lsp.model import registry as catalogue
from risk_lsp.probe import manifest as locate
from risk_lsp.server.app import ServerOptions, run_stdio

if __name__ == "__main__":
    catalogue_file, bundles, data, *bundle = sys.argv[1:]
    setattr(catalogue, "_FILE", Path(catalogue_file))  # noqa: B010
    setattr(locate, "_weight_folders", lambda: (Path(bundles), Path(bundles)))  # noqa: B010
    sys.exit(run_stdio(ServerOptions(bundle=bundle[0] if bundle else None, data_folder=data)))
