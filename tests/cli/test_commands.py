"""The commands, as a person or a script runs them: arguments in, output and exit code out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from risk_lsp.cli.command_line import all_commands, main
from risk_lsp.text.structure import code_line_spans
from tests.conftest import FIXTURES

PROGRAM = FIXTURES / "small_bugs" / "binary_search.py"
GENERATED = ("--place", "generated")  # in a clone the program is committed


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class Runner(Protocol):
    def __call__(self, command: str, *arguments: str | Path) -> Outcome: ...


@pytest.fixture
def risk_lsp(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> Runner:
    """Runs a command that loads the tiny bundle."""

    def run(command: str, *arguments: str | Path) -> Outcome:
        code = main([command, *map(str, arguments), "--bundle", str(tiny_bundle), "--device", "cpu", "--threads", "1"])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


# --- check


def test_check_prints_each_line_and_where_to_look(risk_lsp: Runner) -> None:
    code, out, err = risk_lsp("check", PROGRAM)
    assert (code, err) == (0, "")
    assert "while left < right:" in out and "Most worth reading" in out


def test_check_names_as_many_lines_as_it_is_told(risk_lsp: Runner) -> None:
    report = json.loads(risk_lsp("check", PROGRAM, "--format", "json", "--top", "5").out)
    assert len(report["files"][0]["worth_reading"]) == 5


def test_check_exits_with_1_if_a_line_is_above_the_limit(risk_lsp: Runner) -> None:
    assert risk_lsp("check", PROGRAM, "--fail-above", "0").code == 1


def test_check_exits_with_0_if_no_line_is_above_the_limit(risk_lsp: Runner) -> None:
    assert risk_lsp("check", PROGRAM, "--fail-above", "1").code == 0


def test_check_reports_every_line_above_the_limit_as_a_sarif_result(risk_lsp: Runner) -> None:
    log = json.loads(risk_lsp("check", PROGRAM, *GENERATED, "--format", "sarif", "--fail-above", "0").out)
    assert len(log["runs"][0]["results"]) == len(code_line_spans(PROGRAM.read_text(), "python"))


@pytest.mark.parametrize("place", ["changed", "at-rest"])
def test_a_place_that_was_not_measured_gives_an_order(risk_lsp: Runner, place: str) -> None:
    _, out, _ = risk_lsp("query", PROGRAM, "L15", "--place", place)
    assert re.search(r"15:5-15:24 .*: \d+(st|nd|rd|th) of 12 lines to read\n", out) and "%" not in out


def test_a_place_that_is_none_is_refused_with_those_that_are(
    risk_lsp: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        risk_lsp("check", PROGRAM, "--place", "somewhere")
    assert left.value.code == 2
    assert "'somewhere' is none of generated, changed, at-rest" in capsys.readouterr().err


def test_check_says_what_is_wrong_with_a_bad_file_and_reports_the_others(risk_lsp: Runner, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_bytes(b"\xff\xfe\x00")
    code, out, err = risk_lsp("check", bad, PROGRAM, "--format", "json")
    assert code == 2
    assert err.startswith("error: ") and str(bad) in err and "\nhint: " in err
    assert [file["path"] for file in json.loads(out)["files"]] == [str(PROGRAM)]


def test_a_bad_file_outweighs_a_finding(risk_lsp: Runner, tmp_path: Path) -> None:
    assert risk_lsp("check", tmp_path / "missing.py", PROGRAM, "--fail-above", "0").code == 2


def test_check_makes_a_picture(risk_lsp: Runner) -> None:
    assert risk_lsp("check", PROGRAM, "--format", "svg").out.startswith("<svg")


# --- query


def test_query_gives_the_probability_of_a_line_and_what_it_has_meant(risk_lsp: Runner) -> None:
    code, out, _ = risk_lsp("query", PROGRAM, "L15", *GENERATED)
    assert code == 0
    assert out.startswith(f"{PROGRAM} 15:5-15:24") and "likely to need an edit" in out
    assert "of lines scored 0-100%, 12% were edited, n = 345" in out


def test_query_says_what_a_number_has_meant_for_whole_lines_only(risk_lsp: Runner) -> None:
    assert "of lines scored" not in risk_lsp("query", PROGRAM, "15:5-15:15", *GENERATED).out


def test_query_refuses_a_span_that_the_file_does_not_have(risk_lsp: Runner) -> None:
    code, out, err = risk_lsp("query", PROGRAM, "L99")
    assert (code, out) == (2, "")
    assert "no line 99" in err


# --- score


def test_score_writes_a_line_for_each_line_and_shows_progress(risk_lsp: Runner, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"id": each, "text": "x = 1\n\n"}) + "\n" for each in range(3)))
    code, _, err = risk_lsp("score", source, target)
    assert code == 0 and "3 of 3 programs" in err
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [line["id"] for line in lines] == [0, 1, 2]
    assert [each is None for each in lines[0]["lines"]] == [False, True, True]


def test_score_names_the_bad_line(risk_lsp: Runner, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": 1, "text": "x"}\nnonsense\n')
    code, _, err = risk_lsp("score", source, tmp_path / "out.jsonl")
    assert code == 2 and f"{source}:2 is not JSON" in err


# --- doctor


def test_doctor_names_versions_bundle_and_memory_and_tests_the_whole(risk_lsp: Runner, tiny_bundle: Path) -> None:
    code, out, _ = risk_lsp("doctor")
    assert code == 0
    for expected in ("torch 2.", str(tiny_bundle), "never used", "MiB used at most", "self-test  passed: 7 lines"):
        assert expected in out


# --- what cannot work


def test_a_missing_bundle_is_named_with_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(PROGRAM), "--bundle", str(tmp_path / "none")]) == 2
    assert f"no probe bundle at {tmp_path / 'none'}" in capsys.readouterr().err


def test_a_corrupt_bundle_is_named_with_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text("{")
    assert main(["doctor", "--bundle", str(tmp_path)]) == 2
    assert "manifest.json is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["chekc"], "invalid choice"),
        (["report"], "PATH"),
        (["check", "x.py", "--fail-above", "30"], "not a probability"),
        (["check", "x.py", "--fail-above", "nan"], "not a probability"),
        (["check", "x.py", "--threads", "0"], "below 1"),
    ],
)
def test_arguments_that_make_no_sense_exit_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("address", ["2087", "localhost:", "localhost:http", "localhost:70000"])
def test_an_address_that_is_none_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--tcp", address]) == 2
    assert "HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("words", [command.words for command in all_commands()])
def test_every_command_explains_itself(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*words.split(), "--help"])
    assert f"usage: risk-lsp {words}" in capsys.readouterr().out
