"""`risk-lsp debugger synthesise`: failing programs with an explanation and a repair, kept as soon as they are there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.lab.debugger.debugging_data import read_mistakes
from tests.chat_server import ChatServer, chat_server
from tests.lab.debugger.debugging import RIGHT, WORDS, WRONG, answer, problem, read_lines, write_lines
from tests.model.conftest import save_family

pytestmark = pytest.mark.usefixtures("sandboxed")


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "problems.jsonl", [problem(0), problem(1)])


def synthesise(problems: Path, out: Path, *more: str) -> list[dict[str, Any]]:
    assert main(["debugger", "synthesise", str(out), "--problems", str(problems), "--split", "all", *more]) == 0
    return read_lines(out)


def asked(server: ChatServer, problems: Path, out: Path, *more: str) -> list[dict[str, Any]]:
    """The records that a model at an endpoint gives, two programs of each problem."""
    return synthesise(problems, out, "--base-url", server.url, "--model", "tiny", "--per-problem", "2", *more)


def test_a_failing_program_is_kept_with_its_error_its_explanation_and_its_repair(
    problems: Path, tmp_path: Path
) -> None:
    with chat_server(answer) as server:
        record = asked(server, problems, tmp_path / "out.jsonl")[0]

    assert (record["program"], record["verified"], record["model"]) == (WRONG, False, "tiny")
    assert "add(2, 3): got -1, expected 5" in record["error"]
    (attempt,) = record["repairs"]
    assert (attempt["explanation"], attempt["program"], attempt["passed"]) == (WORDS, RIGHT, True)
    assert attempt["tokens"] == [11, 7, 11, 7]


def test_a_repair_is_asked_for_with_the_error_and_the_explanation(problems: Path, tmp_path: Path) -> None:
    with chat_server(answer) as server:
        asked(server, problems, tmp_path / "out.jsonl")
        prompts = [request["messages"][-1]["content"] for request in server.asked]
    repair = next(prompt for prompt in prompts if "repaired program" in prompt)

    assert WORDS in repair and "got -1, expected 5" in repair and "Write add(a, b) number" in repair


def test_a_program_that_passes_is_kept_and_nobody_is_asked_about_it(problems: Path, tmp_path: Path) -> None:
    with chat_server(lambda prompt: answer(prompt, RIGHT)) as server:
        records = asked(server, problems, tmp_path / "out.jsonl")

    assert all(record["verified"] and not record["repairs"] for record in records)
    assert len(server.asked) == len(records) == 4


def test_a_program_that_a_problem_had_before_is_repaired_once(problems: Path, tmp_path: Path) -> None:
    with chat_server(answer) as server:
        records = asked(server, problems, tmp_path / "out.jsonl")

    assert [(record["repeats"], len(record["repairs"])) for record in records] == [(False, 1), (True, 0)] * 2


def test_a_repair_that_fails_is_kept_with_the_share_of_tests_that_it_passes(problems: Path, tmp_path: Path) -> None:
    def unhelpful(prompt: str) -> str:
        return answer(prompt).replace("a + b", "a * b")

    with chat_server(unhelpful) as server:
        (attempt,) = asked(server, problems, tmp_path / "out.jsonl")[0]["repairs"]

    assert (attempt["passed"], attempt["share"]) == (False, 0.5)


def test_a_run_that_was_killed_goes_on_and_asks_only_for_what_is_missing(problems: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with chat_server(answer) as server:
        whole = asked(server, problems, out, "--together", "1")
        first = len(server.asked)
        out.write_bytes(out.read_bytes()[:-40])  # as if killed while writing
        again = asked(server, problems, out, "--together", "1")

    def kept(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(record["task_id"], record["index"], record["program"], record["repeats"]) for record in records]

    assert kept(again) == kept(whole)
    assert len(server.asked) == first + 1  # the last one repeats another, so nothing is asked about it


def test_a_process_that_is_killed_leaves_records_that_the_next_one_completes(problems: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with chat_server(answer) as server:
        asks = ["--base-url", server.url, "--model", "tiny", "--per-problem", "6", "--together", "1", "--split", "all"]
        command = [sys.executable, "-m", "risk_lsp", "debugger", "synthesise", str(out), "--problems", str(problems)]
        with subprocess.Popen([*command, *asks], stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not (out.is_file() and out.read_bytes().count(b"\n")):
                time.sleep(0.01)
            process.kill()
        before = out.read_bytes()[: out.read_bytes().rfind(b"\n") + 1]
        records = asked(server, problems, out, "--per-problem", "6", "--together", "1")

    assert before.count(b"\n") > 0 and out.read_bytes().startswith(before)
    assert sorted((record["task_id"], record["index"]) for record in records) == [
        (f"Own/{number}", index) for number in range(2) for index in range(6)
    ]


@pytest.mark.parametrize("part", ["program", "repair"])
def test_a_hostile_program_is_contained(problems: Path, tmp_path: Path, part: str) -> None:
    secret, touched = tmp_path / "secret.txt", tmp_path / "touched.txt"
    secret.write_text("do not read me")
    hostile = f"import os\nos.stat({str(secret)!r})\nopen({str(touched)!r}, 'w').write('here')\n{RIGHT}"

    def harmful(prompt: str) -> str:
        if part == "program":
            return answer(prompt, hostile)
        return f"```python\n{hostile}```" if "repaired program" in prompt else answer(prompt)

    with chat_server(harmful) as server:
        records = asked(server, problems, tmp_path / "out.jsonl")

    told = records[0] if part == "program" else records[0]["repairs"][0]
    assert told["program"] == hostile and not (told["verified"] if part == "program" else told["passed"])
    assert not touched.exists()


def test_a_program_that_never_ends_does_not_stop_the_run(tmp_path: Path) -> None:
    problems = write_lines(tmp_path / "problems.jsonl", [problem(0)])
    with chat_server(lambda prompt: answer(prompt, "while True:\n    pass\n")) as server:
        record = asked(server, problems, tmp_path / "out.jsonl", "--per-problem", "1")[0]

    assert record["err"] == "timeout" and record["repairs"][0]["passed"]


def test_another_model_can_be_the_critic(problems: Path, tmp_path: Path) -> None:
    folder = save_family(tmp_path / "tiny", "Llama")
    more = ("--model", str(folder), "--critic", "wise", "--max-tokens", "8", "--per-problem", "1", "--threads", "1")
    with chat_server(answer) as server:
        records = synthesise(problems, tmp_path / "out.jsonl", "--base-url", server.url, *more)

    assert {(record["model"], record["critic"]) for record in records} == {("tiny", "wise")}
    assert all(attempt["passed"] for record in records for attempt in record["repairs"])


def test_a_local_model_writes_the_same_records_again(problems: Path, tmp_path: Path) -> None:
    folder = save_family(tmp_path / "tiny", "Llama")
    more = ("--model", str(folder), "--max-tokens", "8", "--per-problem", "2", "--threads", "1")
    records = synthesise(problems, tmp_path / "out.jsonl", *more)

    assert len(records) == 4 and all(
        record["verified"] or record["repairs"] for record in records if not record["repeats"]
    )
    assert synthesise(problems, tmp_path / "again.jsonl", *more) == records


def published(folder: Path, fixed: str, **words: str) -> Path:
    pair = {"task_id": "Own/0", "group": "Own/0", "model": "somebody", "program": WRONG, "prompt_lines": 0}
    return write_lines(folder / "repairs_own.jsonl", [{**pair, "repaired": fixed, **words}])


def test_published_pairs_are_taken_with_the_explanation_of_their_source(problems: Path, tmp_path: Path) -> None:
    pairs = published(tmp_path, RIGHT, reflection=WORDS)
    (record,) = synthesise(problems, tmp_path / "out.jsonl", "--from", str(pairs))

    assert record["repairs"] == [{"explanation": WORDS, "program": RIGHT, "passed": True}]
    assert "got -1, expected 5" in record["error"]
    assert synthesise(problems, tmp_path / "out.jsonl", "--from", str(pairs)) == [record]  # not twice


def test_right_programs_are_broken_by_an_edit_that_their_tests_notice(problems: Path, tmp_path: Path) -> None:
    records = synthesise(problems, tmp_path / "out.jsonl", "--broken", "--per-problem", "2")

    assert len({record["program"] for record in records if record["task_id"] == "Own/0"}) == 2
    assert all(record["error"] and record["repairs"][0]["program"] == RIGHT for record in records)
    line = records[0]["program"].splitlines()[1].strip()
    assert records[0]["repairs"][0]["explanation"] == f"Line 2 is wrong: `{line}` should be `return a + b`."
    assert synthesise(problems, tmp_path / "out.jsonl", "--broken", "--per-problem", "2") == records  # not twice


def test_a_published_repair_that_fails_here_is_left_out(
    problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = published(tmp_path, WRONG.replace("-", "*"))
    command = ["debugger", "synthesise", str(tmp_path / "out.jsonl"), "--problems", str(problems), "--from", str(pairs)]

    assert main(command) == 2
    assert "there is nothing to describe" in capsys.readouterr().err


def test_the_card_counts_what_failed_and_what_was_repaired(
    problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server(answer) as server:
        asked(server, problems, tmp_path / "out.jsonl")

    card = (tmp_path / "out.md").read_text()
    assert "| own | 2 | 4 | 2 | 2 | 2 | 2 | 2 | 144 |" in card
    assert "| own | MIT |" in card
    assert "4 programs of 2 problems, 2 different ones fail, 2 are repaired" in capsys.readouterr().out


def test_a_split_of_the_problems_can_be_read(problems: Path, tmp_path: Path) -> None:
    with chat_server(answer) as server:
        asked(server, problems, tmp_path / "out.jsonl")
    mistakes = read_mistakes([tmp_path / "out.jsonl"])

    assert [len(mistake.repairs) for mistake in mistakes] == [1, 1]
    parts = [read_mistakes([tmp_path / "out.jsonl"], split) for split in ("train", "calibration", "test")]
    assert sorted(map(str, [mistake for part in parts for mistake in part])) == sorted(map(str, mistakes))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no model is named"),
        (("--model", "m", "--critic", "c"), "--critic names a model at an endpoint"),
        (("--model", "m", "--attempts", "0"), "--attempts must be 1 or more"),
    ],
)
def test_what_does_not_go_together_is_refused(
    problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    command = ["debugger", "synthesise", str(tmp_path / "out.jsonl"), "--problems", str(problems), *arguments]

    assert main(command) != 0
    assert message in capsys.readouterr().err
