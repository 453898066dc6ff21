"""Commands in the documents: they can be given like that, and what they say of the default bundle is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from risk_lsp.cli.command_line import build_parser
from risk_lsp.lab.training.probe_fit_command import recipe_of
from risk_lsp.probe.manifest import read_manifest

ROOT = Path(__file__).parents[3]
DOCUMENTS = (
    "docs/patches.md",
    "docs/probe.md",
    "docs/training.md",
    "probe_weights/default/README.md",
    "docs/commands.md",
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


def test_the_documented_tuning_is_that_of_the_shipped_model() -> None:
    tuned = read_manifest(ROOT / "probe_weights/default").trained_on["model"]["tuned"]["options"]
    (words,) = [each for each in commands("docs/training.md") if each[:2] == ["train", "tune"]]
    args = build_parser().parse_args(words)

    assert [int(layer) for layer in args.layers.split(",")] == tuned["layers"]
    for name in ("frozen", "rate", "epochs", "minutes", "ranking", "reading", "seed"):
        assert getattr(args, name) == tuned[name], name


def test_the_documented_origin_is_that_of_the_shipped_model() -> None:
    origin = read_manifest(ROOT / "probe_weights/default").trained_on["model"]["derived_from"]
    words, _in_eight_bits = [each for each in commands("docs/training.md") if each[:2] == ["train", "derive"]]
    args = build_parser().parse_args(words)

    assert (args.layers, args.licence) == (origin["layers"], origin["licence"])


def test_the_documented_fit_takes_the_tuned_probe_into_the_bundle() -> None:
    manifest = read_manifest(ROOT / "probe_weights/default")
    (words,) = [each for each in commands("docs/training.md") if each[:2] == ["probe", "fit"]]
    args = build_parser().parse_args(words)

    assert args.probe is not None and args.copy_model and manifest.host.kind == "bundled"
    assert recipe_of(manifest, manifest.trained_on["model"]["derived_from"]["layers"]).per_group == args.per_group
