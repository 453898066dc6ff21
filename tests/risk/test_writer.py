"""What is written at a place of a document, and that its risks come from the rows of writing it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from risk_lsp.errors import ModelError
from risk_lsp.probe.token_hazards import ARCHITECTURES
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import WritingTask, WrittenText, texts_from_arrays, texts_to_arrays
from risk_lsp.risk.writer import Writer
from risk_lsp.text.extents import Extent
from tests.probe.tiny import save_model, save_tiny_bundle

BEFORE = "def first(values):\n    return values[0]\n\n\ndef last(values):\n    "
BEHIND = "\n\n\ndef middle(values):\n    return values[1]\n"


@pytest.fixture(scope="module")
def writing_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with room for a program, whose tokenizer has the tokens for filling in the middle."""
    return save_model(tmp_path_factory.mktemp("models") / "tiny", context=512, seed=9)


@pytest.fixture(scope="module", params=[*ARCHITECTURES, "normal form"])
def engine(request: pytest.FixtureRequest, writing_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Each architecture of a probe in turn, and one that reads the normal form."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    if request.param == "normal form":
        save_tiny_bundle(folder, writing_model, "lines", reading="normal-1")
    else:
        save_tiny_bundle(folder, writing_model, request.param)
    return Engine.load(folder, threads=1, whole_model=True)


def written(
    writer: Writer, *, behind: str = "", extent: Extent = "function", count: int = 4, max_tokens: int = 24
) -> list[WrittenText]:
    place = len(BEFORE)
    return writer.write(WritingTask(BEFORE + behind, place, place, extent, count=count, max_tokens=max_tokens))


@pytest.mark.parametrize("behind", ["", BEHIND])
def test_the_risk_of_each_candidate_is_known_wherever_it_stands(engine: Engine, behind: str) -> None:
    found = written(Writer(engine), behind=behind)

    assert found
    for candidate in found:
        span = candidate.span
        assert span == (len(BEFORE), len(BEFORE) + len(candidate.text))
        (known,) = candidate.risk.known
        assert known.start <= span.start and span.end <= known.end
        assert candidate.risk.risks.text_length == len(BEFORE) + len(candidate.text) + len(behind)
        assert 0 < candidate.risk.risks.probability(*span) < 1


def test_the_candidate_with_the_lowest_risk_comes_first(engine: Engine) -> None:
    found = written(Writer(engine))
    risks = [candidate.probability for candidate in found]

    assert len(risks) > 1 and risks == sorted(risks)
    assert len({candidate.text for candidate in found}) == len(found)


def test_what_is_written_at_the_end_is_scored_as_if_it_was_read(writing_model: Path, tmp_path: Path) -> None:
    engine = Engine.load(save_tiny_bundle(tmp_path / "tiny", writing_model), threads=1)
    text = "def first(values):\n    return values["
    compared = 0
    for candidate in Writer(engine).write(WritingTask(text, len(text), len(text), "line", count=40, max_tokens=3)):
        read, written = engine.score(text + candidate.text), candidate.risk.risks
        assert isinstance(read, RiskMap) and isinstance(written, RiskMap)
        # Where the tokenizer cuts the text as the model wrote it, both have the same tokens.
        if np.array_equal(read.starts, written.starts) and np.array_equal(read.ends, written.ends):
            np.testing.assert_allclose(written.hazards, read.hazards, rtol=1e-3, atol=1e-5)
            compared += 1
    assert compared


def test_nothing_is_run_but_the_prompt_and_each_written_token(
    writing_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.load(save_tiny_bundle(tmp_path / "tiny", writing_model), threads=1)
    host = engine.model.host
    calls: list[str] = []
    for name in ("extend", "step", "run"):
        method = getattr(host, name)

        def spy(*args: object, _name: str = name, _method: object = method, **more: object) -> object:
            calls.append(_name)
            return _method(*args, **more)  # type: ignore[operator]

        monkeypatch.setattr(host, name, spy)
    place = len(BEFORE)
    Writer(engine).write(WritingTask(BEFORE + BEHIND, place, place, "function", max_tokens=10), lambda told: None)

    assert calls.count("extend") == 1  # the prompt, which is shorter than what is run at once
    assert calls.count("step") <= 10 and calls.count("run") == 0


def test_the_likeliest_text_is_told_with_its_numbers_while_it_grows(engine: Engine) -> None:
    told: list[WrittenText] = []
    place = len(BEFORE)
    likeliest, *_ = Writer(engine).draw(
        WritingTask(BEFORE, place, place, "function", count=2, max_tokens=80), told.append
    )

    assert likeliest is not None and told[-1].text == likeliest.text
    assert told[-1].probability == pytest.approx(likeliest.probability)
    assert all(likeliest.text.startswith(each.text) for each in told)


def test_every_text_that_is_drawn_comes_also_one_that_came_before(engine: Engine) -> None:
    place = len(BEFORE)
    drawn = Writer(engine).draw(WritingTask(BEFORE, place, place, "line", count=40, max_tokens=2, temperature=0.1))
    texts = [each.text for each in drawn if each is not None]

    assert len(drawn) == 40 and len(set(texts)) < len(texts)


def test_where_nothing_can_stand_before_nothing_is_written(engine: Engine) -> None:
    assert Writer(engine).write(WritingTask("", 0, 0, "block")) == []


def test_a_model_without_its_head_is_refused(writing_model: Path, tmp_path: Path) -> None:
    bundle = save_tiny_bundle(tmp_path / "tiny", writing_model, layers=(1,), statistics=False)

    with pytest.raises(ModelError, match="does not write"):
        Writer(Engine.load(bundle, threads=1))


def test_written_texts_travel_whole(engine: Engine) -> None:
    found = written(Writer(engine))
    arrived = texts_from_arrays(*texts_to_arrays(found))

    assert [each.text for each in arrived] == [each.text for each in found]
    assert [each.probability for each in arrived] == [each.probability for each in found]
    assert [each.risk.known for each in arrived] == [each.risk.known for each in found]


def test_a_body_behind_a_docstring_begins_on_a_line_of_its_own(writing_model: Path, tmp_path: Path) -> None:
    engine = Engine.load(save_tiny_bundle(tmp_path / "tiny", writing_model), threads=1, whole_model=True)
    text = 'def first(values):\n    """The first of some values."""'
    found = Writer(engine).write(WritingTask(text, len(text), len(text), "function", count=8, max_tokens=24))
    assert found
    assert all(re.match(r"\n    \S", each.text) for each in found)


def test_on_a_line_of_its_own_the_model_indents_a_body_itself() -> None:
    text = "def largest(numbers):\n"
    engine = Engine.load(None, threads=1, whole_model=True)
    found = Writer(engine).write(WritingTask(text, len(text), len(text), "function", count=3, max_tokens=24))

    assert found
    assert all(each.text[0].isspace() for each in found)
