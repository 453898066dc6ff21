"""A real worker process whose risks follow from the text by rule, so that tests know what to expect.

Tokens are the pieces between white space. One on a line with the word BUG has hazard 1.0 divided by the tokens of that
line, one on a line with MAYBE a quarter of it, any other none. A text with CRASH ends the process, one with REFUSE is
refused, one with BREAK makes the scorer fail, one with HOG asks for more memory than there is, and one with STALL is
answered once the file `release` exists; of one with PARTS the line that a person is at and those next to it are known
before that.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from risk_lsp.errors import BadInput, BundleError
from risk_lsp.model.cores import stop_if_unwanted
from risk_lsp.probe.calibration import Calibration
from risk_lsp.risk.engine_worker import Answer, run_worker
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import PartialRisk, WritingTask, WrittenText, texts_to_arrays
from risk_lsp.server.documents.document_places import content_hash
from risk_lsp.text.document import LineIndex, Span

REFERENCE = {"line": [{"low": 0.6, "high": 0.65, "predicted": 0.63, "observed": 0.59, "n": 612}]}


class ScriptedScorer:
    """Scores by rule and writes one line per run to `folder`/runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> dict[str, Any]:
        """What the hover's reference sentence is made of."""
        return {"name": "scripted", "model": "scripted model", "probe_hash": "sha256:scripted", "reference": REFERENCE}

    def score(self, text: str, language_id: str, at: int, on_part: Callable[[Answer], None]) -> Answer:
        """The risks of a text by the rule above."""
        with (self._folder / "runs").open("a", encoding="utf-8") as runs:
            runs.write(f"{text!r}\n")
        if "CRASH" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "REFUSE" in text:
            raise BadInput("this text is refused", "write another one")
        if "BREAK" in text:
            raise ZeroDivisionError(text)
        if "HOG" in text:
            bytearray(1 << 60)
        if "PARTS" in text:
            on_part(by_rule_near(text, at).to_arrays())
        if "STALL" in text or "PARTS" in text:
            wait_for(self._folder / "release")
        return by_rule(text).to_arrays()

    def answer(self, question: str, parameters: dict[str, Any], on_part: Callable[[Answer], None]) -> Answer:
        """The risks of several texts by the rule above; it fills nothing in and expects nothing."""
        if question == "risks":
            scored = [self.score(text, parameters["language_id"], 0, lambda _: None) for text in parameters["texts"]]
            arrays = {f"{index}.{name}": array for index, (_, own) in enumerate(scored) for name, array in own.items()}
            return {"risks": [header for header, _ in scored]}, arrays
        if question == "write":
            return self._written(WritingTask(**parameters), on_part)
        return {"infills": [[] for _ in parameters.get("spans", [])], "alternatives": []}, {}

    def _written(self, task: WritingTask, on_part: Callable[[Answer], None]) -> Answer:
        """The texts that the file `writes` lists, risks by the rule above; with STALL or PONDER once `release` exists,
        with SLOW a moment later."""
        with (self._folder / "written").open("a", encoding="utf-8") as notes:
            notes.write(f"{task.text[: task.start]!r}\n")
        texts = json.loads((self._folder / "writes").read_text("utf-8"))[: task.count]
        if task.tells_lines and texts:
            on_part(texts_to_arrays([self._text(task, texts[0].rpartition("\n")[0] or texts[0])]))
        never = threading.Event()
        while ("STALL" in task.text or "PONDER" in task.text) and not (self._folder / "release").exists():
            stop_if_unwanted()
            never.wait(0.01)
        if "SLOW" in task.text:
            never.wait(0.05)
        return texts_to_arrays([self._text(task, form) for form in texts])

    def _text(self, task: WritingTask, form: str) -> WrittenText:
        text = form.replace(NAMES_ITS_PROMPT, prompt_name(task.text[: task.start]))
        after = task.text[: task.start] + text + task.text[task.end :]
        risk, prompt_hash = PartialRisk(by_rule(after), (Span(0, len(after)),)), content_hash(task.text[: task.start])
        return WrittenText(text, task.start, risk, -0.5, 3, True, prompt_hash)


NAMES_ITS_PROMPT = "<prompt>"  # what it writes for this is the name of the text that it writes behind


def prompt_name(text: str) -> str:
    """A name for a text before a cursor."""
    return f"behind_{content_hash(text)}"


def by_rule(text: str) -> RiskMap:
    """The risks of a text."""
    lines = LineIndex(text)
    starts, ends, hazards = [], [], []
    for line in range(lines.count):
        content = text[lines.start(line) : lines.content_end(line)]
        tokens = list(re.finditer(r"\S+", content))
        risk = 1.0 if "BUG" in content else 0.25 if "MAYBE" in content else 0.0
        for token in tokens:
            starts.append(lines.start(line) + token.start())
            ends.append(lines.start(line) + token.end())
            hazards.append(risk / len(tokens))
    return RiskMap(
        len(text),
        np.array(starts, np.int32),
        np.array(ends, np.int32),
        np.array(hazards, np.float32),
        Calibration(theta=0.0, scale=1.0, power=1.0),
    )


def by_rule_near(text: str, at: int) -> PartialRisk:
    """The risks of the line at an offset and of those next to it."""
    lines, whole = LineIndex(text), by_rule(text)
    line = lines.line_of(at)
    known = Span(lines.start(max(0, line - 1)), lines.end(min(lines.count - 1, line + 1)))
    inside = (whole.starts >= known.start) & (whole.ends <= known.end)
    tokens = whole.starts[inside], whole.ends[inside], whole.hazards[inside]
    return PartialRisk(RiskMap(len(text), *tokens, whole.calibration), (known,))


def wait_for(path: Path) -> None:
    """Wait until the file exists."""
    never = threading.Event()
    while not path.exists():
        never.wait(0.01)


def load(options: dict[str, Any]) -> ScriptedScorer:
    """Like a bundle: "missing" cannot be loaded, "gated" takes until the file `release` exists.

    The file `dies`, if there is one, has the number of loads that end the process.
    """
    folder = Path(sys.argv[1])
    (folder / "pid").write_text(str(os.getpid()), encoding="ascii")
    with (folder / "loads").open("a", encoding="utf-8") as loads:
        loads.write(f"{options}\n")
    dies = folder / "dies"
    if dies.exists() and (left := int(dies.read_text("ascii"))):
        dies.write_text(str(left - 1), encoding="ascii")
        os.kill(os.getpid(), signal.SIGKILL)
    name = Path(options["bundle"]).name
    if name == "missing":
        raise BundleError("no probe bundle here", "check the setting bundle")
    if name == "gated":
        wait_for(folder / "release")
    return ScriptedScorer(folder)


if __name__ == "__main__":
    # Its notes can be written although the server's files may not.
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
    sys.exit(run_worker(load))
