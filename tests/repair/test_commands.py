"""`risk-lsp repair` and `risk-lsp evaluate repair`, as a person runs them."""

from __future__ import annotations

import json
import lzma
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.cli.writing_commands import Target, parse_target
from risk_lsp.errors import BadInput
from risk_lsp.repair.tree import TreeStore
from risk_lsp.risk.engine import Engine
from tests.lab.evaluation.test_frozen import tree_with_feedback
from tests.repair.chat_server import chat_server
from tests.repair.chat_server import write as answering
from tests.repair.models import FIXED_SUM, SUM
from tests.sandbox.processes import descendants, wait_for_end

NO_MODEL = cast(Engine, None)  # whoever scripts all answers needs none
RIGHT = f"It starts at 1.\n```python\n{FIXED_SUM}```\n"


@pytest.fixture(autouse=True)
def own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "sums.py").write_text(SUM)
    return Path("sums.py")


@pytest.mark.usefixtures("sandboxed")
class TestRepair:
    def test_a_repair_is_shown_as_a_diff_and_nothing_is_written(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["repair", str(file)]) == 0

        shown = capsys.readouterr()
        assert "-    total = 1\n+    total = 0\n" in shown.out
        assert "tests: python -m doctest sums.py" in shown.err
        assert file.read_text() == SUM

    def test_apply_writes_what_passes_and_keeps_mode_and_byte_order_mark(self, file: Path) -> None:
        file.write_bytes(b"\xef\xbb\xbf" + SUM.encode())
        file.chmod(0o750)

        assert main(["repair", str(file), "--apply"]) == 0

        assert file.read_bytes() == b"\xef\xbb\xbf" + FIXED_SUM.encode()
        assert file.stat().st_mode & 0o777 == 0o750

    def test_a_command_decides(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        check = "python -c 'import sums; assert sums.add_all([]) == 0'"

        assert main(["repair", f"{file}:9", "--tests", check]) == 0

        assert "+    total = 0" in capsys.readouterr().out

    def test_a_model_at_an_endpoint_is_asked_and_told_the_hint(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with chat_server(NO_MODEL) as server:
            server.ways = [answering(RIGHT)]
            asked = ["--provider", "openai", "--model", "tiny", "--base-url", server.url, "--hint", "look at the START"]

            assert main(["repair", str(file), *asked]) == 0

        assert "-    total = 1\n+    total = 0\n" in capsys.readouterr().out
        assert "look at the START" in server.asked[0]["messages"][-1]["content"]

    def test_the_environment_may_name_an_endpoint_that_needs_no_key(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with chat_server(NO_MODEL) as server:
            server.ways = [answering(RIGHT)]
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)

            assert main(["repair", str(file), "--provider", "openai", "--model", "tiny"]) == 0

    def test_another_model_may_say_first_what_is_wrong(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with chat_server(NO_MODEL) as server:
            server.ways = [answering("It STARTS at 1."), answering(RIGHT)]
            models = ["--model", "tiny", "--feedback-model", "large"]

            assert main(["repair", str(file), "--provider", "openai", "--base-url", server.url, *models]) == 0

        assert [asked["model"] for asked in server.asked] == ["large", "tiny"]
        assert "It STARTS at 1." in server.asked[1]["messages"][-1]["content"]
        assert "cost: " in capsys.readouterr().err

    def test_a_hint_that_nobody_reads_is_said_to_be_unread(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["repair", str(file), "--hint", "look at the start", "--executions", "2"])

        assert "note: the embedded provider reads no hints" in capsys.readouterr().err

    def test_an_interrupt_ends_what_runs_and_changes_nothing(self, file: Path) -> None:
        script = Path(sys.executable).parent / "risk-lsp"
        command = [str(script), "repair", str(file), "--tests", "sleep 50"]
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=_interruptible
        ) as process:
            while not (asleep := [pid for pid in descendants(process.pid) if name_of(pid) == "sleep"]):
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)

        assert process.returncode == 130
        assert all(wait_for_end(pid) for pid in asleep)
        assert file.read_text() == SUM

    def test_not_found_says_what_to_do_next(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["repair", str(file), "--tests", "false", "--executions", "3"]) == 1

        assert "next: allow more than 3 runs" in capsys.readouterr().err


def test_without_tests_nothing_is_applied(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untested = SUM.replace(">>> ", "")
    file.write_text(untested)

    code = main(["repair", str(file), "--apply"])

    assert code == (2 if "suggested" in capsys.readouterr().err else 1)
    assert file.read_text() == untested


@pytest.mark.parametrize(
    ("words", "line"), [("sums.py", None), ("sums.py:3", 3), ("other.py:12", 12), ("gone.py", None)]
)
def test_a_target_is_a_file_or_a_line_of_it(file: Path, words: str, line: int | None) -> None:
    assert parse_target(words) == Target(Path(words.partition(":")[0]), line)


def test_a_file_whose_name_ends_like_a_line_is_meant_as_it_is(file: Path) -> None:
    Path("odd.py:3").write_text("")

    assert parse_target("odd.py:3") == Target(Path("odd.py:3"), None)


@pytest.mark.parametrize("words", ["sums.py:0", "sums.py:x", "sums.py:-1"])
def test_what_is_no_line_is_refused(file: Path, words: str) -> None:
    with pytest.raises(BadInput, match="names no line"):
        parse_target(words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.py"], "does not exist"),
        (["sums.py:99"], "has 13 lines"),
        (["sums.py", "--tests", "make", "--no-tests"], "exclude each other"),
        (["sums.py", "--apply", "--no-tests"], "--no-tests runs none"),
        (["sums.py", "--model", "gpt"], "--model is for an asked model"),
        (["sums.py", "--base-url", "http://127.0.0.1:1/v1"], "--base-url is for an asked model"),
        (["sums.py", "--feedback", "same"], "--feedback is for an asked model"),
        (["sums.py", "--feedback-model", "gpt"], "--feedback-model is for an asked model"),
        (["sums.py", "--no-tests", "--provider", "openai"], "needs a model"),
        (["sums.py", "--no-tests", "--provider", "openai", "--model", "gpt"], "no key"),
        (["sums.py", "--no-tests", "--budget", "0"], "allows nothing"),
    ],
)
def test_bad_arguments_get_an_error_with_a_way_out(
    file: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["repair", *arguments]) == 2

    shown = capsys.readouterr().err
    assert words in shown
    assert "hint: " in shown


def name_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


# --- evaluate repair


def write(path: Path, records: list[dict[str, Any]]) -> None:
    with lzma.open(path, "wt") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    problem = {
        "task_id": "Own/1",
        "benchmark": "own",
        "group": "Own/1",
        "prompt": "",
        "entry_point": "add_all",
        "test_kind": "append",
        "tests": "assert add_all([1, 2]) == 3\nassert add_all([]) == 0\n",
        "reference": None,
        "license": "MIT",
    }
    write(folder / "problems_own.jsonl.xz", [problem])
    fix = {"task_id": "Own/1", "group": "Own/1", "program": SUM, "prompt_lines": 0, "verified": False}
    write(folder / "repairs_humanevalfix.jsonl.xz", [fix])
    write(folder / "repair_trees_compact.jsonl.xz", [{"source": "a", "model": "b", "passed": [False, True]}])
    return folder


@pytest.mark.usefixtures("sandboxed")
def test_a_measurement_compares_orders_and_is_resumed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["evaluate", "repair", str(out), "--data", str(data), "--sets", "humanevalfix", "--executions", "60"]

    assert main(arguments) == 0

    assert "humanevalfix: 1 of 1 repaired" in capsys.readouterr().out
    before = (out / "measurements.jsonl").read_text()
    firsts = json.loads(before)["firsts"]
    assert firsts["guided"] <= 60
    assert (out / "humanevalfix.png").stat().st_size > 0
    assert main(arguments) == 0
    assert (out / "measurements.jsonl").read_text() == before


def test_kept_trees_give_pass_at_k_and_pass_at_t(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        TreeStore(tmp_path / "trees" / f"{name}.json").save(tree_with_feedback())

    assert main(["evaluate", "repair", str(tmp_path / "out"), "--trees", str(tmp_path / "trees")]) == 0

    said = capsys.readouterr().out
    assert "pass@1 33.3% of 2 trees" in said  # one of three repairs passes
    assert "pass@2 66.7% of 2 trees" in said
    assert "tokens: 16 x 1 repairs" in said
    assert (tmp_path / "out" / "pass_at_t.png").stat().st_size > 0


@pytest.mark.parametrize("arguments", [[], ["--trees", "nowhere"]])
def test_a_folder_without_data_is_named(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "repair", str(tmp_path / "out"), "--data", str(tmp_path / "empty"), *arguments]) == 2

    assert "hint: " in capsys.readouterr().err


def test_evaluate_alone_is_still_another_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "repair", "--help"])
    assert "--uniform-executions" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "--uniform-executions" not in capsys.readouterr().out


def _interruptible() -> None:
    """Where tests run in the background of a script, interrupts are ignored, and children would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
