"""`risk-lsp patches build` with a language model behind a real local server: what it adds, and what it cannot spoil."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.cli.command_line import main
from tests.chat_server import ChatServer, chat_server

pytest.importorskip("openai")

from risk_lsp.lab.patches.program_writers import AnswerStore
from risk_lsp.repair.endpoint import Completion

WRONG = "def largest(values):\n    # the first\n    return None\n"
MENDED = "Sure.\n\n```python\ndef largest(values):\n    # the largest\n    return max(values or [0])\n```\n"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(lambda _: MENDED) as server:
        yield server


@pytest.fixture
def inputs(tmp_path: Path, shared_sandbox: object) -> list[str]:
    """A problem with two programs that no small edit mends."""
    problem = {
        "task_id": "own/1",
        "benchmark": "own",
        "group": "own/1",
        "prompt": "The largest of some numbers; 0 of none.",
        "test_kind": "append",
        "tests": "assert largest([3, 1]) == 3\nassert largest([1, 5]) == 5\nassert largest([]) == 0\n",
    }
    samples = [
        {
            "task_id": "own/1",
            "benchmark": "own",
            "group": "own/1",
            "model": name,
            "program": program,
            "prompt_lines": 0,
            "verified": False,
        }
        for name, program in (("wrong", WRONG), ("also wrong", WRONG.replace("None", "0 if None else False")))
    ]
    paths = [tmp_path / "problems.jsonl", tmp_path / "samples.jsonl"]
    paths[0].write_text(json.dumps(problem) + "\n")
    paths[1].write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return ["--problems", str(paths[0]), "--samples", str(paths[1]), "--workers", "1", "--budget", "100"]


def build(out: Path, inputs: list[str], server: ChatServer, *more: str) -> dict[str, dict[str, Any]]:
    """The records by the name of the model that wrote the program."""
    asked = ["--model", "tiny", "--base-url", server.url, "--timeout", "20", *more]
    assert main(["patches", "build", str(out), *inputs, *asked]) == 0
    data = b"".join(path.read_bytes() for path in sorted(out.glob("patches-*.jsonl.xz")))
    return {record["model"]: record for record in map(json.loads, lzma.decompress(data).decode().splitlines())}


def test_an_answer_that_passes_is_cut_down_to_a_patch(
    server: ChatServer, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = build(tmp_path / "out", inputs, server)["wrong"]
    prompt = server.asked[0]["messages"][0]["content"]

    assert record["patch"]["source"] == "language model"
    assert "# the first" in record["patch"]["fixed"]  # a comment is no part of a patch
    assert [record["text"][slice(*span)] for span in record["edited"]] == ["return", "None"]
    assert WRONG in prompt and "The largest of some numbers" in prompt and "AssertionError" in prompt
    assert record["answered"] == {"model": "tiny", "answers": 1, "prompt_tokens": 11, "completion_tokens": 7}
    asked = json.loads((tmp_path / "out" / "statistics.json").read_text())["asked"]
    assert f"{asked['answers']} answers for {asked['programs']} programs" in capsys.readouterr().out


def test_the_data_card_names_the_model_that_was_asked(server: ChatServer, inputs: list[str], tmp_path: Path) -> None:
    build(tmp_path / "out", inputs, server)

    assert re.search(r"asked for fixes too \(tiny\): \d+ answers", (tmp_path / "out" / "README.md").read_text())


def test_what_was_answered_is_not_asked_again(server: ChatServer, inputs: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = build(out, inputs, server)
    for part in (out / "work").glob("part-*"):
        part.unlink()  # as if killed before a record was whole
    with (out / "work" / "answers.jsonl").open("ab") as answers:
        answers.write(b'["cut sh')
    server.asked.clear()
    second = build(out, inputs, server)

    assert server.asked == []
    assert {name: record["edited"] for name, record in second.items()} == {
        name: record["edited"] for name, record in first.items()
    }


@pytest.mark.parametrize(
    "raw",
    [b"no JSON", b"[]", b'{"choices": [{"message": {"content": null}}]}'],
)
def test_a_malformed_reply_gives_no_fix_and_ends_no_build(
    server: ChatServer, inputs: list[str], tmp_path: Path, raw: bytes
) -> None:
    server.raw = raw
    records = build(tmp_path / "out", inputs, server)

    assert server.asked
    assert {record["edited"] for record in records.values()} == {None}


def test_an_answer_without_a_program_or_with_a_wrong_one_is_no_fix(
    server: ChatServer, inputs: list[str], tmp_path: Path
) -> None:
    answers = iter(["I do not know.", "```python\ndef largest(:\n```", "```python\nlargest = len\n```", ""])
    server.answer = lambda _: next(answers, "")
    records = build(tmp_path / "out", inputs, server, "--answers", "2")

    assert len(server.asked) == 4
    assert {record["edited"] for record in records.values()} == {None}


def test_without_the_server_the_build_goes_on_and_says_so_once(
    inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server(lambda _: MENDED) as gone:
        pass
    samples = Path(inputs[3])
    passing = {
        "model": "passing",
        "verified": True,
        "program": "def largest(values):\n    return max(values, default=0)\n",
    }
    known = samples.read_text()
    samples.write_text(known + json.dumps(json.loads(known.splitlines()[0]) | passing) + "\n")
    records = build(tmp_path / "out", inputs, gone, "--answers", "4")

    assert records["wrong"]["edited"]  # from the passing program
    assert capsys.readouterr().err.count("tiny is asked for no more fixes: no answer from") == 1


def test_another_model_needs_another_folder(
    server: ChatServer, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tmp_path / "out", inputs, server)

    assert main(["patches", "build", str(tmp_path / "out"), *inputs]) == 2
    assert "was begun with other settings" in capsys.readouterr().err


def test_no_key_is_written_anywhere(
    server: ChatServer, inputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret-of-mine")
    build(tmp_path / "out", inputs, server)

    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in files if b"a-secret-of-mine" in path.read_bytes()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--base-url", "http://127.0.0.1:1/v1"], "no model is named"), (["--model", "tiny"], "no key for the endpoint")],
)
def test_a_model_that_cannot_be_asked_at_all_is_refused_at_once(
    inputs: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    assert main(["patches", "build", str(tmp_path / "out"), *inputs, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_processes_share_a_file_of_answers(tmp_path: Path) -> None:
    first, second = AnswerStore(tmp_path / "a.jsonl"), AnswerStore(tmp_path / "a.jsonl")
    first.put("x", Completion("one", 1, None))
    second.put("y", Completion("two", None, 2))
    later = AnswerStore(tmp_path / "a.jsonl")

    assert (later.get("x"), later.get("y"), later.get("z")) == (
        Completion("one", 1, None),
        Completion("two", None, 2),
        None,
    )
