"""`risk-lsp patches sample` against a real local server that speaks the chat protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.lab.patches.programs import read_samples
from risk_lsp.sandbox.verdicts import Problem
from tests.chat_server import ChatServer, chat_server

pytest.importorskip("openai")

from risk_lsp.lab.patches.program_writers import program_of

PROBLEMS = [
    {"task_id": "A/1", "prompt": 'def double(x):\n    """Double it."""\n', "entry_point": "double", "test": ""},
    {"task_id": "A/2", "prompt": "def half(x):\n", "entry_point": "half", "test": ""},
]
ANSWER = "Here it is:\n\n```python\ndef double(x):\n    return 2 * x\n```\nThat is all."


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(lambda _: ANSWER) as server:
        yield server


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(problem) + "\n" for problem in PROBLEMS))
    return path


def sample(server: ChatServer, problems: Path, out: Path, *more: str) -> int:
    arguments = ["--problems", str(problems), "--model", "tiny", "--base-url", server.url, "--per-problem", "2", *more]
    return main(["patches", "sample", str(out), *arguments])


def test_samples_can_be_read_and_nobody_has_run_them(server: ChatServer, problems: Path, tmp_path: Path) -> None:
    assert sample(server, problems, tmp_path / "out.jsonl") == 0
    samples = list(read_samples(tmp_path / "out.jsonl"))

    assert sorted(sample.task_id for sample in samples) == ["A/1", "A/1", "A/2", "A/2"]
    assert {(sample.model, sample.verified, sample.passed) for sample in samples} == {("tiny", None, None)}


def test_a_folder_that_is_not_there_is_made(server: ChatServer, problems: Path, tmp_path: Path) -> None:
    assert sample(server, problems, tmp_path / "new" / "out.jsonl", "--per-problem", "1") == 0
    assert len(list(read_samples(tmp_path / "new" / "out.jsonl"))) == 2


def test_the_model_sees_the_prompt_and_the_temperature(server: ChatServer, problems: Path, tmp_path: Path) -> None:
    sample(server, problems, tmp_path / "out.jsonl", "--temperature", "0.3", "--per-problem", "1")

    assert {request["temperature"] for request in server.asked} == {0.3}
    assert any(PROBLEMS[0]["prompt"] in request["messages"][0]["content"] for request in server.asked)


def test_an_endpoint_is_told_how_to_draw(server: ChatServer, problems: Path, tmp_path: Path) -> None:
    sample(server, problems, tmp_path / "out.jsonl", "--top-p", "0.9", "--seed", "3", "--stop", "###")

    assert {(request["top_p"], *request["stop"]) for request in server.asked} == {(0.9, "###")}
    assert len({request["seed"] for request in server.asked}) == 4


def test_an_endpoint_that_knows_no_more_than_temperature_is_told_no_more(
    server: ChatServer, problems: Path, tmp_path: Path
) -> None:
    sample(server, problems, tmp_path / "out.jsonl")

    assert all({"top_p", "seed", "stop"}.isdisjoint(request) for request in server.asked)


def test_programs_drawn_otherwise_are_others(server: ChatServer, problems: Path, tmp_path: Path) -> None:
    sample(server, problems, tmp_path / "out.jsonl")
    sample(server, problems, tmp_path / "out.jsonl", "--top-p", "0.5")

    assert len(server.asked) == 8


def test_a_prelude_stands_in_front_of_every_program(server: ChatServer, tmp_path: Path) -> None:
    own = {"task_id": "own/1", "benchmark": "own", "group": "own/1", "prompt": "Double it.", "test_kind": "none"}
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({**own, "prelude": "import math\n", "starter": "def double(x):"}) + "\n")
    sample(server, path, tmp_path / "out.jsonl", "--per-problem", "1")
    (found,) = read_samples(tmp_path / "out.jsonl")

    assert found.program == "import math\ndef double(x):\n    return 2 * x\n"
    assert found.prompt_lines == 1
    assert "Start from:\n\ndef double(x):" in server.asked[0]["messages"][0]["content"]


def test_tokens_are_counted(
    server: ChatServer, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample(server, problems, tmp_path / "out.jsonl")

    assert "4 programs more, 44 tokens read and 28 written" in capsys.readouterr().out


def test_only_what_is_missing_is_asked_for(server: ChatServer, problems: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    sample(server, problems, out, "--per-problem", "1")
    out.write_bytes(out.read_bytes()[:-30])  # as if killed while writing
    server.asked.clear()
    sample(server, problems, out)

    assert len(server.asked) == 3
    assert len(list(read_samples(out))) == 4


def test_a_refusal_is_shown(
    server: ChatServer, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status = 404

    assert sample(server, problems, tmp_path / "out.jsonl") == 2
    assert "refused: 404" in capsys.readouterr().err


class TestProgramsInAnswers:
    PROBLEM = Problem("A/1", "a", "A/1", PROBLEMS[0]["prompt"], "double", "append", "", None, "")

    @pytest.mark.parametrize(
        ("answer", "program", "given"),
        [
            (ANSWER, "def double(x):\n    return 2 * x\n", 0),
            ("def double(x): return x", "def double(x): return x\n", 0),
            ("```py\nx\n```\n```\ndef double(x):\n    pass\n```", "def double(x):\n    pass\n", 0),
            ("```python\ndef double(x):\n    return 2", "def double(x):\n    return 2\n", 0),
            ("```\n    return 2 * x\n```", PROBLEMS[0]["prompt"] + "    return 2 * x\n", 2),
            ("", "\n", 0),
        ],
        ids=["among words", "without a fence", "the longest of two", "cut short", "only the body", "nothing"],
    )
    def test_are_cut_out(self, answer: str, program: str, given: int) -> None:
        assert program_of(answer, self.PROBLEM) == (program, given)
