"""The whole chain with one small random model: data, supervised training, reinforcement, and the table."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("trl", reason="trl needs Python 3.11")

from risk_lsp.cli.command_line import main
from tests.chat_server import chat_server
from tests.lab.debugger.debugging import answer, problem, write_lines
from tests.model.conftest import save_family


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.filterwarnings("default")  # of trl and its friends
def test_a_model_debugs_learns_from_it_and_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = save_family(tmp_path / "tiny", "Llama", max_position_embeddings=1024), tmp_path / "data.jsonl"
    problems = write_lines(tmp_path / "problems.jsonl", [problem(0), problem(1)])
    sft, rl = tmp_path / "sft", tmp_path / "rl"
    here, small = ["--model", str(model), "--split", "all"], ["--threads", "1", "--max-tokens", "6"]
    learns = ["--data", str(data), "--steps", "1", "--rank", "2", *here]

    with chat_server(answer) as server:
        critic = ["--base-url", server.url, "--critic", "wise", "--per-problem", "1"]
        assert main(["debugger", "synthesise", str(data), "--problems", str(problems), *here, *small, *critic]) == 0
    assert main(["debugger", "train", str(sft), "--method", "sft", *learns]) == 0
    reinforced = ["--adapter", str(sft / "adapter"), "--group", "2", "--max-tokens", "6"]
    assert main(["debugger", "train", str(rl), "--method", "rl", *learns, *reinforced]) == 0
    compared = ["--models", f"prompting={model}", f"sft={sft / 'model'}", f"rl={rl / 'model'}", "--split", "all"]
    assert main(["debugger", "evaluate", str(tmp_path / "out"), "--data", str(data), *compared, *small]) == 0

    assert "| rl: explained | 2 |" in capsys.readouterr().out
