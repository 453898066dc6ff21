"""Commands in the documents: they can be given like that, and what they say of the default bundle is so."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from risk_lsp.cli.command_line import build_parser
from risk_lsp.lab.training.probe_fit_command import recipe_from, recipe_of
from risk_lsp.probe.manifest import read_manifest

ROOT = Path(__file__).parents[3]
DOCUMENTS = (
    "docs/patches.md",
    "docs/probe.md",
    "docs/training.md",
    "probe_weights/default/README.md",
    "probe_weights/qwen2.5-coder-0.5b/README.md",
    "docs/commands.md",
    "docs/debugger.md",
)


def commands(document: str) -> list[list[str]]:
    """The words of every command of ours that stands in a block of its own."""
    text = (ROOT / document).read_text("utf-8").replace("\\\n", " ")
    return [shlex.split(line, comments=True)[1:] for line in re.findall(r"^ {4}(risk-lsp .*)$", text, re.MULTILINE)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_can_be_given_as_it_is_written(document: str) -> None:
    assert commands(document)
    for words in commands(document):
        assert build_parser().parse_args(words).run, words


def test_the_documented_fit_is_that_of_the_shipped_probe() -> None:
    manifest = read_manifest(ROOT / "probe_weights/default")
    layers = manifest.trained_on["model"]["options"]["shape"]["layers"]
    words, _from_a_pretrained_model = [each for each in commands("docs/training.md") if each[:2] == ["probe", "fit"]]

    assert recipe_from(build_parser().parse_args(words), layers) == recipe_of(manifest, layers)


def test_the_documented_training_is_that_of_the_shipped_model() -> None:
    manifest = json.loads((ROOT / "probe_weights/default/manifest.json").read_text("utf-8"))
    options = manifest["trained_on"]["model"]["options"]
    words, _on_a_gpu = [each for each in commands("docs/training.md") if each[:2] == ["train", "model"]]
    args = build_parser().parse_args(words)

    assert (args.minutes, args.layers, args.width, args.micro_batch) == (
        options["minutes"],
        options["shape"]["layers"],
        options["shape"]["width"],
        options["micro_batch"],
    )
