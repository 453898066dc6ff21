"""What leaves the machine with a repair by an endpoint: the document and what its tests said."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.repair.chat_server import chat_server, write
from tests.server.lsp_client import server_command
from tests.server.person import LARGEST, RIGHT, Person
from tests.server.repair.test_repair_providers import NO_MODEL, start

KEY, SECRET = "sk-KEY", "hunter2"


async def test_an_endpoint_hears_no_path_no_other_file_and_no_key(sandboxed: None, tmp_path: Path) -> None:
    workspace = tmp_path / "somebodys" / "workspace"
    workspace.mkdir(parents=True)
    for name in (".env", "other.py"):
        (workspace / name).write_text(f"KEY = '{SECRET}'\n", encoding="utf-8")
    environment = {**os.environ, "SOME_TOKEN": SECRET}
    person = await Person.start(server_command(tmp_path), env=environment)
    assert isinstance(person, Person)
    try:
        person.replies["riskLsp/secret"] = {"secret": KEY}
        with chat_server(NO_MODEL) as server:
            server.ways.append(write(f"```python\n{RIGHT}```\n"))
            settings = {"repairProvider": "endpoint", "repairEndpoint": server.url, "repairModel": "tiny"}
            uri = await start(person, workspace / "largest.py", "secret", **settings)
            assert (await person.repaired(uri))["status"] == "applied"
        heard = json.dumps(server.asked)
    finally:
        await person.kill()
    assert json.dumps(LARGEST)[1:-1] in heard
    assert not [word for word in (str(workspace), "somebodys", SECRET, KEY) if word in heard]
