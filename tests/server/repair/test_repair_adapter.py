"""Repairs by the hosted model with an adapter: after the embedded search, with the model's own words."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("peft", reason="peft comes with the extra for the debugger")

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.sources import ADAPTER_RECORD, hash_weights
from risk_lsp.probe.manifest import default_bundle_path
from risk_lsp.repair.model_questions import Situation, joint_prompt
from tests.server.person import LARGEST, Person

pytestmark = pytest.mark.filterwarnings("default")  # of peft

# No single edit makes this right: the embedded search tries in vain.
FAULTY = LARGEST.replace("numbers[0]", "0").replace("return best", "return best - 1")
WORDS = "It keeps the smallest."
SHORT = LARGEST[: LARGEST.index("    best =")] + "    return max(numbers)\n"
ANSWER = f"{WORDS}\n\n```python\n{SHORT}```\n"
BEFORE, AFTER = [1, 2], [3, 4]  # tokens that stand nowhere else


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the embedded model, which has learnt one answer by heart."""
    folder, base = tmp_path_factory.mktemp("adapters") / "one-answer", default_bundle_path() / "model"
    tokens = CodeModel.load(base, threads=1)
    asked = [
        joint_prompt(Situation("largest.py", "python", FAULTY, "python -m doctest", failure, (), ""))
        for failure in ("Expected: 3, got: -1", "largest([1, 3, 2]): got -1, expected 3", "AssertionError")
    ]
    answer = [*tokens.encode(ANSWER).token_ids.tolist(), min(tokens.end_tokens)]
    torch.manual_seed(0)
    config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    optimizer = torch.optim.Adam((weight for weight in model.parameters() if weight.requires_grad), lr=0.01)
    for step in range(60):
        question = [*BEFORE, *tokens.encode(asked[step % len(asked)]).token_ids.tolist(), *AFTER]
        ids = torch.tensor([question + answer])
        labels = torch.tensor([[-100] * len(question) + answer])
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.1
    model.save_pretrained(folder)
    record = {"base": hash_weights(base), "before": BEFORE, "after": AFTER}
    (folder / ADAPTER_RECORD).write_text(json.dumps(record))
    return folder


@pytest.fixture
async def person(sandboxed: None, tmp_path: Path) -> AsyncIterator[Person]:
    """A person at a server that hosts the embedded model."""
    own = {f"XDG_{name}_HOME": str(tmp_path / name) for name in ("DATA", "STATE", "CACHE", "CONFIG")}
    connected = await Person.start([sys.executable, "-m", "risk_lsp", "serve"], env={**os.environ, **own})
    assert isinstance(connected, Person)
    yield connected
    await connected.kill()


async def test_what_edits_do_not_repair_the_adapter_does_and_its_words_are_shown(
    person: Person, adapter: Path, tmp_path: Path
) -> None:
    person.choose("Run", "Apply")
    await person.initialize(initializationOptions={"repairAdapter": str(adapter), "repairExecutions": 16})
    uri = person.show(tmp_path / "largest.py", FAULTY)

    assert await person.repaired(uri) == {"status": "applied", "message": ""}
    assert f'the hosted model with one-answer says: "{WORDS}"' in "\n".join(person.questions + person.shown)
    assert "return max(numbers)" in person.texts[uri][1]


async def test_an_adapter_of_another_model_is_refused_with_a_way_out(
    person: Person, adapter: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in adapter.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / ADAPTER_RECORD).write_text(json.dumps({"base": "sha256:0", "before": BEFORE, "after": AFTER}))
    person.choose("Run")
    await person.initialize(initializationOptions={"repairAdapter": str(other), "repairExecutions": 16})
    outcome = await person.repaired(person.show(tmp_path / "largest.py", FAULTY))

    assert outcome["status"] == "failed"
    assert "the adapter other was trained on a model with the hash sha256:0" in outcome["message"]
    assert "choose a bundle with that model" in outcome["message"]
