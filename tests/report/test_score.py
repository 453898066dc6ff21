"""Scoring many programs: one line out per line in, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.report.score import count_lines, score_file
from risk_lsp.risk.risk_map import RiskMap
from tests.risk.scorers import WordScorer

PROGRAMS = [{"id": f"p{number}", "text": f"x = {number}\n\nBUG\n"} for number in range(200)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in.jsonl", *map(json.dumps, PROGRAMS))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def score(source: Path, target: Path, scorer: WordScorer | None = None, *, skip_bad: bool = False) -> list[int]:
    """Score and return the progress that was told."""
    told: list[int] = []
    score_file(scorer or WordScorer(), source, target, skip_bad=skip_bad, on_progress=told.append)
    return told


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class StoppedScorer(WordScorer):
    """Scores one batch and is then interrupted."""

    def score_many(self, texts: Sequence[str], language_id: str = "python") -> list[RiskMap]:
        if self.texts:
            raise KeyboardInterrupt
        return super().score_many(texts, language_id)


def test_every_program_gets_its_document_s_and_its_lines_probabilities(source: Path, target: Path) -> None:
    score(source, target)
    lines = read(target)
    assert [line["id"] for line in lines] == [program["id"] for program in PROGRAMS]
    assert set(lines[0]) == {"id", "document", "lines", "gives"}
    assert [each is None for each in lines[0]["lines"]] == [False, True, False, True]
    assert lines[0]["lines"][2] == pytest.approx(0.632, abs=1e-3) and lines[0]["document"] >= lines[0]["lines"][2]


def test_an_interrupted_run_is_resumed_without_scoring_anything_twice(source: Path, target: Path) -> None:
    stopped = StoppedScorer()
    with pytest.raises(KeyboardInterrupt):
        score(source, target, stopped)
    resumed = WordScorer()
    told = score(source, target, resumed)
    assert told[0] == len(stopped.texts) > 0
    assert stopped.texts + resumed.texts == [program["text"] for program in PROGRAMS]
    assert [line["id"] for line in read(target)] == [program["id"] for program in PROGRAMS]


@pytest.mark.parametrize("kept", [0, 1, 30, 61])
def test_a_last_line_that_was_cut_short_is_written_anew(source: Path, target: Path, kept: int) -> None:
    score(source, target)
    whole = target.read_bytes()
    first_lines = whole.splitlines(keepends=True)[:2]
    target.write_bytes(first_lines[0] + first_lines[1][:kept])
    score(source, target)
    assert target.read_bytes() == whole


def test_a_finished_file_is_left_as_it_is(source: Path, target: Path) -> None:
    score(source, target)
    scorer = WordScorer()
    assert score(source, target, scorer) == [len(PROGRAMS)]
    assert scorer.texts == []


def test_an_output_of_another_input_is_refused_and_kept(source: Path, target: Path) -> None:
    write(target, '{"id": "other", "document": 0.1, "lines": []}')
    with pytest.raises(BadInput, match=r"out\.jsonl:1 is not about the program of .*in\.jsonl:1"):
        score(source, target)
    assert read(target)[0]["id"] == "other"


def test_a_file_that_this_command_did_not_write_is_refused_and_kept(source: Path, target: Path) -> None:
    write(target, "notes of mine")
    with pytest.raises(BadInput, match=r"out\.jsonl:1 is not a line that this command wrote"):
        score(source, target)
    assert target.read_text() == "notes of mine\n"


def test_an_output_longer_than_the_input_is_refused(source: Path, target: Path) -> None:
    score(source, target)
    write(source, json.dumps(PROGRAMS[0]))
    with pytest.raises(BadInput, match="more lines than"):
        score(source, target)


def test_a_file_is_not_scored_onto_itself(source: Path) -> None:
    with pytest.raises(BadInput, match="both input and output"):
        score(source, source)


BAD_LINES = {
    "not JSON": "{",
    "blank": "",
    "no object": "[]",
    "no id": '{"text": "x"}',
    "no text": '{"id": 1}',
    "text that is no text": '{"id": 1, "text": 5}',
    "half a surrogate pair": '{"id": 1, "text": "\\ud800"}',
    "a NUL": '{"id": 1, "text": "\\u0000"}',
    "2 MB and more": json.dumps({"id": 1, "text": "x" * 2_000_001}),
}


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_stops_the_run_by_its_name_after_all_before_it(tmp_path: Path, target: Path, bad: str) -> None:
    source = write(tmp_path / "in.jsonl", json.dumps(PROGRAMS[0]), bad, json.dumps(PROGRAMS[1]))
    with pytest.raises(BadInput, match=r"in\.jsonl:2") as caught:
        score(source, target)
    assert "--skip-bad" in caught.value.hint
    assert [line["id"] for line in read(target)] == ["p0"]


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_can_be_skipped_and_then_has_its_error_in_its_place(tmp_path: Path, target: Path, bad: str) -> None:
    source = write(tmp_path / "in.jsonl", json.dumps(PROGRAMS[0]), bad, json.dumps(PROGRAMS[1]))
    score(source, target, skip_bad=True)
    first, skipped, last = read(target)
    assert (first["id"], last["id"]) == ("p0", "p1")
    assert set(skipped) == {"id", "error"} and "in.jsonl:2" in skipped["error"]


def test_a_run_with_skipped_lines_can_be_resumed(tmp_path: Path, target: Path) -> None:
    source = write(tmp_path / "in.jsonl", "{", json.dumps(PROGRAMS[0]), json.dumps(PROGRAMS[1]))
    score(source, target, skip_bad=True)
    whole = target.read_bytes()
    target.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    score(source, target, skip_bad=True)
    assert target.read_bytes() == whole


def test_an_empty_program_has_no_risk_and_one_blank_line(tmp_path: Path, target: Path) -> None:
    score(write(tmp_path / "in.jsonl", '{"id": null, "text": ""}'), target)
    assert read(target) == [{"id": None, "document": 0.0, "lines": [None], "gives": "percent"}]


def test_lines_are_counted_before_the_first_is_scored(source: Path) -> None:
    assert count_lines(source) == len(PROGRAMS)


def test_an_input_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"missing\.jsonl cannot be read"):
        count_lines(tmp_path / "missing.jsonl")
