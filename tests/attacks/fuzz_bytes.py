"""Random bytes and random JSON where a bundle, a GGUF file, settings, a notebook or programs to score are expected.

    python -m tests.attacks.fuzz_bytes [--inputs 2000] [--seed 0]

Each is refused with an error meant for people, or makes sense after all; nothing else may happen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import struct
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

from risk_lsp.errors import RiskError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.gguf_file import GgufFile
from risk_lsp.probe.bundle import load_bundle
from risk_lsp.report.score import score_file
from risk_lsp.settings import SETTINGS, Settings, Source, parse
from tests.risk.scorers import WordScorer
from tests.server.lsp_client import LspClient, server_command

_NAMES = [setting.name for setting in SETTINGS]
_NAMES += ["uri", "version", "cells", "kind", "document", "languageId", "text", "notebookDocument", "cellTextDocuments"]
_NAMES += ["change", "structure", "array", "start", "deleteCount", "didOpen", "textContent", "id"]


def fuzz_bundle(bundle: Path, folder: Path, inputs: int, seed: int = 0) -> int:
    """Load copies of a bundle with one file damaged each; returns how many were refused."""
    chance = random.Random(f"{seed} bundle")
    names = sorted(path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file())
    refused = 0
    for number in range(inputs):
        copy = Path(shutil.copytree(bundle, folder / str(number)))
        path = copy / chance.choice(names)
        path.write_bytes(_damaged(chance, path.read_bytes(), is_json=path.suffix == ".json"))
        try:
            load_bundle(copy, device="cpu")
        except RiskError:
            refused += 1
        shutil.rmtree(copy)
    return refused


def fuzz_gguf(model: Path, folder: Path, inputs: int, seed: int = 0) -> tuple[int, int]:
    """Load and run copies of a small GGUF file whose header is damaged.

    Returns how many were refused, and the most bytes that Python and numpy held at once.
    """
    whole, path, chance = model.read_bytes(), folder / "damaged.gguf", random.Random(f"{seed} gguf")
    header = min(tensor.offset for tensor in GgufFile(model).tensors.values())
    refused = 0
    CodeModel.load(model, dtype="float32")  # imports what it needs, which takes memory too
    tracemalloc.start()
    for _ in range(inputs):
        path.write_bytes(_damaged_header(chance, whole, header))
        try:
            loaded = CodeModel.load(path, dtype="float32")
            loaded.read(loaded.encode("x = 1\n"), (1,))
        except RiskError:
            refused += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return refused, peak


def _damaged_header(chance: random.Random, whole: bytes, header: int) -> bytes:
    content = bytearray(whole)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(4, header)
        match chance.randrange(4):
            case 0:
                content[place] ^= 1 << chance.randrange(8)
            case 1:
                content[place : place + 8] = struct.pack("<Q", chance.choice([0, 1, 255, 2**31, 2**40, 2**63 - 1]))
            case 2:
                del content[place : place + chance.randint(1, 16)]
            case _:
                content[place:place] = chance.randbytes(chance.randint(1, 16))
    return bytes(content)


def fuzz_settings(inputs: int, seed: int = 0) -> None:
    """Read settings from random values; what comes out are settings, and never a model that a workspace named."""
    chance = random.Random(f"{seed} settings")
    for _ in range(inputs):
        parsed = parse(_value(chance), Source.WORKSPACE)
        assert isinstance(parsed.settings, Settings)
        assert (parsed.settings.bundle, parsed.settings.offline) == (Settings().bundle, True)


def fuzz_score(folder: Path, inputs: int, seed: int = 0) -> None:
    """Score random lines: each gets one line of JSON, without leave to skip any, the first bad one ends the run."""
    chance = random.Random(f"{seed} score")
    source, target = folder / "in.jsonl", folder / "out.jsonl"
    lines = [_line(chance) for _ in range(inputs)]
    source.write_bytes(b"\n".join(lines) + b"\n")
    total = source.read_bytes().count(b"\n")
    assert score_file(WordScorer(), source, target, skip_bad=True, on_progress=lambda _: None) == total
    assert all("id" in json.loads(line) for line in target.read_bytes().splitlines())
    target.unlink()
    with contextlib.suppress(RiskError):
        score_file(WordScorer(), source, target, on_progress=lambda _: None)


async def fuzz_notebook(folder: Path, inputs: int, seed: int = 0) -> None:
    """Send random notebooks and changes of notebooks; the server goes on, and shows no popup."""
    chance = random.Random(f"{seed} notebook")
    client = await LspClient.start(server_command(folder))
    try:
        await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
        for number in range(inputs):
            method = chance.choice(("didOpen", "didChange", "didSave", "didClose"))
            client.notify(f"notebookDocument/{method}", _notebook(chance) if chance.random() < 0.7 else _value(chance))
            if number % 100 == 0:
                await client.hover("file:///nothing", line=0)
        assert await client.shut_down() == 0
        assert client.all_of("window/showMessage") == []
    finally:
        await client.kill()


def _notebook(chance: random.Random) -> dict[str, Any]:
    """The params of any of the notebook notifications, with random values in random places."""
    cells = [_or_any(chance, {"kind": 2, "document": f"cell:{place}"}) for place in range(3)]
    items = [
        _or_any(chance, {"uri": f"cell:{place}", "languageId": "python", "version": 1, "text": "x = 1"})
        for place in range(3)
    ]
    notebook = {"uri": "nb:", "notebookType": "x", "version": chance.randrange(5), "cells": _or_any(chance, cells)}
    array = {"start": chance.randrange(4), "deleteCount": chance.randrange(4), "cells": cells}
    structure = {"array": _or_any(chance, array), "didOpen": items, "didClose": [{"uri": "cell:1"}]}
    edit = {"document": {"uri": "cell:0", "version": 2}, "changes": [_or_any(chance, {"text": "y"})]}
    change = {"cells": {"structure": _or_any(chance, structure), "textContent": [_or_any(chance, edit)]}}
    return {
        "notebookDocument": _or_any(chance, notebook),
        "cellTextDocuments": _or_any(chance, items),
        "change": _or_any(chance, change),
    }


def _or_any(chance: random.Random, value: Any) -> Any:
    return value if chance.random() < 0.95 else _value(chance)


def _line(chance: random.Random) -> bytes:
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.randrange(60))
    if kind == 1:
        return json.dumps(_value(chance)).encode()
    return json.dumps({"id": _value(chance), "text": _text(chance)}).encode()


def _damaged(chance: random.Random, content: bytes, is_json: bool) -> bytes:
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(2000))
    if kind == 1:
        return content[: chance.randrange(len(content) + 1)]
    if kind == 2 or not is_json:
        place = chance.randrange(len(content))
        return content[:place] + chance.randbytes(chance.randrange(1, 9)) + content[place + chance.randrange(9) :]
    return json.dumps(_with_damage(chance, json.loads(content))).encode()


def _with_damage(chance: random.Random, value: Any) -> Any:
    """JSON with one value in it replaced."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        return {**value, name: _with_damage(chance, value[name])}
    return _value(chance)


def _value(chance: random.Random, depth: int = 3) -> Any:
    kind = chance.randrange(8 if depth else 6)
    if kind == 6:
        return [_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 7:
        names = [*chance.choices(_NAMES, k=chance.randrange(4)), _text(chance)]
        return {name: _value(chance, depth - 1) for name in names}
    simple = [
        None,
        chance.random() < 0.5,
        chance.randrange(-3, 2**40),
        chance.choice((0.5, -1e308, 1e-9)),
        _text(chance),
    ]
    return [*simple, chance.choice(("../..", "/etc/passwd", "hub:x/y", "default", "cuda:9"))][kind]


def _text(chance: random.Random) -> str:
    return "".join(
        chance.choices(["BUG ", "x", "\n", "\0", "\ud800", "😀", '"', "\u2028", "\\"], k=chance.randrange(12))
    )


def main() -> int:
    """The command."""
    from tests.bundles import save_tiny_bundle
    from tests.model.conftest import save_family
    from tests.model.gguf_files import write_gguf

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bundle").mkdir()
        bundle = save_tiny_bundle(folder / "bundle")
        refused = fuzz_bundle(bundle, folder, options.inputs // 4, options.seed)
        model = write_gguf(save_family(folder / "model", "Qwen2"), folder / "model.gguf")
        refused_models, peak = fuzz_gguf(model, folder, options.inputs, options.seed)
        fuzz_settings(10 * options.inputs, options.seed)
        fuzz_score(folder, options.inputs, options.seed)
        asyncio.run(fuzz_notebook(folder, options.inputs, options.seed))
    print(
        f"{options.inputs // 4:,} bundles ({refused:,} refused), {options.inputs:,} GGUF files"
        f" ({refused_models:,} refused, at most {peak / 1e6:.0f} MB), {10 * options.inputs:,} settings,"
        f" {options.inputs:,} lines to score, {options.inputs:,} notebooks in {time.monotonic() - started:.0f} s:"
        " nothing but errors for people"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
