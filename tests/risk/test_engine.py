"""Text in, risks out: every text gets a map, whatever it holds, and one run of the model is all a map ever costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from risk_lsp.model.decoders.numpy_host import Block
from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.probe.calibration import Calibration, Priors
from risk_lsp.probe.manifest import read_manifest
from risk_lsp.probe.token_hazards import ProbeReader
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import PartialRisk, SpanRisk, within_any
from risk_lsp.text.document import Span
from tests.probe.tiny import CONTEXT, SAMPLE, change_manifest, save_tiny_bundle

any_text = st.text(st.characters(exclude_categories=()), max_size=60)


@contextmanager
def counted_runs() -> Iterator[list[str]]:
    """The names of all torch modules, and numpy blocks and probes, that run meanwhile, whoever calls them."""
    runs: list[str] = []

    def note(module: torch.nn.Module, _args: object) -> None:
        runs.append(type(module).__name__)

    def counted(owner: type, method: str) -> None:
        run = getattr(owner, method)

        def counting(self: object, *args: Any) -> Any:
            runs.append(owner.__name__)
            return run(self, *args)

        patch.setattr(owner, method, counting)

    handle = torch.nn.modules.module.register_module_forward_pre_hook(note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            counted(Block, "run")
            counted(ProbeReader, "hazards")
            yield runs
    finally:
        handle.remove()


def assert_same_risks(first: SpanRisk, second: SpanRisk) -> None:
    # Padding and batching change the order of float32 sums, which the tiny models' large weights magnify.
    np.testing.assert_array_equal(first.starts, second.starts)
    np.testing.assert_array_equal(first.ends, second.ends)
    np.testing.assert_allclose(first.token_probabilities(), second.token_probabilities(), atol=1e-4)


def test_the_map_carries_the_calibration_of_its_bundle(engines: dict[str, Engine]) -> None:
    risk = engines["hazard"].score(SAMPLE)

    assert isinstance(risk, RiskMap)
    assert risk.calibration == engines["hazard"].manifest.calibration


def test_the_texts_tokens_are_told_apart(engine: Engine) -> None:
    assert len(np.unique(engine.score(SAMPLE).token_probabilities())) > 20


@settings(max_examples=40)
@given(text=any_text)
@example(text="\ud800 = '\udfff'")
@example(text="print('🙂👩‍👩‍👧')")
@example(text="a = 1\r\nb = 2\r\n")
@example(text="\r\n")
@example(text=" \n\t\n ")
@example(text="\0<|endoftext|>\x0c\u2028")
def test_every_character_of_any_text_belongs_to_a_token(engine: Engine, text: str) -> None:
    risk = engine.score(text)

    covered = np.zeros(len(text), dtype=bool)
    for start, end in zip(risk.starts, risk.ends, strict=True):
        covered[start:end] = True
    assert risk.text_length == len(text)
    assert covered.all()


@settings(max_examples=40)
@given(text=any_text)
def test_every_span_of_any_text_has_a_probability(engine: Engine, text: str) -> None:
    risk = engine.score(text)
    starts, ends = np.triu_indices(len(text) + 1)

    probabilities = risk.probabilities(starts, ends)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_an_empty_text_has_no_tokens_and_no_risk(engine: Engine) -> None:
    risk = engine.score("")

    assert len(risk.starts) == 0
    assert risk.probability(0, 0) == 0.0


def test_a_text_far_longer_than_the_context_is_scored_to_its_end(engine: Engine) -> None:
    text = SAMPLE * 30
    risk = engine.score(text)

    assert len(risk.starts) > 20 * CONTEXT
    assert risk.ends[-1] == len(text)
    assert len(np.unique(risk.token_probabilities()[-CONTEXT:])) > 10


def test_what_follows_changes_no_risk_where_the_probe_looks_at_each_token_by_itself(engines: dict[str, Engine]) -> None:
    engine = engines["hazard"]
    before = engine.score("x = 1\ny = 2\n")
    after = engine.score("x = 1\ny = 2\nz = 3\n")

    np.testing.assert_allclose(after.token_probabilities()[:6], before.token_probabilities()[:6], atol=1e-4)


def test_a_text_scores_the_same_alone_and_among_others(engine: Engine) -> None:
    texts = [SAMPLE, "", "x = 1\n", SAMPLE * 3, " ", SAMPLE[:50]]

    for together, text in zip(engine.score_many(texts), texts, strict=True):
        assert_same_risks(together, engine.score(text))


def test_more_texts_than_are_held_at_once_come_back_in_their_order(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risk_lsp.risk.engine._TOKENS_AT_ONCE", 40)
    texts = ["x = 1\n" * count for count in (9, 1, 0, 5, 12, 2)]

    assert [risk.text_length for risk in engine.score_many(texts)] == [len(text) for text in texts]


def test_no_texts_give_no_maps(engine: Engine) -> None:
    assert engine.score_many([]) == []


def test_ten_thousand_queries_run_no_model(engine: Engine) -> None:
    with counted_runs() as scoring:
        risk = engine.score(SAMPLE)
    assert scoring == ["Block", "Block", "ProbeReader"]  # the count does see a run

    with counted_runs() as querying:
        for start in range(100):
            for end in range(start, start + 100):
                risk.probability(start, end)

    assert querying == []


def test_a_probe_without_statistics_scores_too(model_folder: Path, tmp_path: Path) -> None:
    path = save_tiny_bundle(tmp_path / "bundle", model_folder, layers=(0, 1), statistics=False)

    assert Engine.load(path).score(SAMPLE).probability(0, len(SAMPLE)) > 0


def test_loading_the_whole_model_changes_no_score(model_folder: Path, tmp_path: Path) -> None:
    path = save_tiny_bundle(tmp_path / "bundle", model_folder, layers=(0, 1), statistics=False)

    assert_same_risks(Engine.load(path).score(SAMPLE), Engine.load(path, whole_model=True).score(SAMPLE))


def test_novelty_is_a_share(engine: Engine) -> None:
    novelty = engine.score(SAMPLE).novelty

    assert novelty is not None and 0 <= novelty <= 1


def test_the_description_says_what_is_loaded(bundle: Path) -> None:
    change_manifest(bundle, name="mine", figures={"programs": 3}, reference={"line": []})

    assert Engine.load(bundle).describe() == {
        "name": "mine",
        "model": "model",
        "device": "cpu",
        "dtype": "float32",
        "context": CONTEXT,
        "layers": [1, 2],
        "architecture": "hazard",
        "created": "2026-01-02T03:04:05+00:00",
        "figures": {"programs": 3},
        "reference": {"line": []},
        "places": Priors().to_json(),
        "probe_hash": read_manifest(bundle).probe_hash,
    }


def test_importing_the_engine_imports_no_torch() -> None:
    program = "import sys, risk_lsp.risk.engine; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def tokens_of(risk: SpanRisk) -> list[Span]:
    return [Span(int(start), int(end)) for start, end in zip(risk.starts, risk.ends, strict=True)]


def test_what_is_known_of_a_long_text_early_is_what_it_is_in_the_end(engine: Engine) -> None:
    text, parts = SAMPLE * 30, list[PartialRisk]()
    whole = engine.rescore(text, "python", WindowMemory(1 << 24), at=len(text) // 2, on_part=parts.append)

    assert len(parts) > 1
    for part in parts:
        tokens = within_any(tokens_of(whole), part.known)
        assert 0 < tokens.sum() == len(part.risks.starts) < len(whole.starts)
        # A probe that looks around has less to see where its text is not known yet.
        tolerance = 0.02 if engine.manifest.architecture == "lines" else 1e-6
        known, final = part.risks.token_probabilities(), whole.token_probabilities()[tokens]
        np.testing.assert_allclose(known, final, atol=tolerance)
    assert within_any([Span(len(text) // 2, len(text) // 2 + 1)], parts[0].known).all()


def test_after_an_edit_the_probe_reads_no_part_again_whose_rows_are_as_they_were(engine: Engine) -> None:
    text, memory = (
        "".join(f"def first{number}(x):\n    return x + {number}\n\n\n" for number in range(60)),
        WindowMemory(1 << 24),
    )
    read, hazards = list[int](), ProbeReader.hazards

    def counted(reader: ProbeReader, standardised: Any, layout: Any) -> Any:
        read.append(len(standardised))
        return hazards(reader, standardised, layout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProbeReader, "hazards", counted)
        engine.rescore(text, "python", memory)
        whole, read[:] = sum(read), []
        again = engine.rescore(text + "x = 1\n", "python", memory, at=len(text))

    assert 0 < sum(read) < whole / 4
    assert_same_risks(again, engine.score(text + "x = 1\n"))
    assert again.novelty == pytest.approx(engine.score(text + "x = 1\n").novelty, abs=1e-3)


def test_a_part_comes_back_from_its_arrays(engine: Engine) -> None:
    parts: list[PartialRisk] = []
    engine.rescore(SAMPLE * 30, "python", WindowMemory(0), on_part=parts.append)

    again = PartialRisk.from_arrays(*parts[0].to_arrays())

    assert again.known == parts[0].known
    assert_same_risks(again.risks, parts[0].risks)


def test_the_hazards_of_a_part_are_scaled_as_if_the_rest_were_like_it(engines: dict[str, Engine]) -> None:
    engine, text, parts = engines["hazard"], SAMPLE * 30, list[PartialRisk]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "manifest", replace(engine.manifest, calibration=Calibration(document=0.5)))
        whole = engine.rescore(text, "python", WindowMemory(0), on_part=parts.append)

    last = parts[-1]
    tokens = within_any(tokens_of(whole), last.known)
    np.testing.assert_allclose(last.risks.token_probabilities(), whole.token_probabilities()[tokens], rtol=0.2)
