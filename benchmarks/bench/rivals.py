"""What a person would do instead with the same model: a forward pass per edit, asking line by line, sampling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from benchmarks.bench.figures import Figure, seconds_of, timed
from benchmarks.bench.programs import program
from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.probe.manifest import default_bundle_path
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import line_risks

_ANSWER_TOKENS = 2  # "No." or a number
_SAMPLES = 5


def rivals(engine: Engine, repeat: int) -> Iterator[Figure]:
    """All on the same 100 lines, with the default model in transformers; what it would answer is not looked at."""
    text = program(100)
    token_ids = torch.from_numpy(engine.model.encode(text).token_ids.astype(np.int64))[None]
    model = _fastest(token_ids)
    memory = WindowMemory(256_000_000)
    engine.rescore(text, "python", memory)
    scratch = float(np.median(timed(lambda: line_risks(engine.score(text), text), repeat)))
    versions = iter(range(1000))
    edit = float(
        np.median(
            timed(lambda: line_risks(engine.rescore(f"{text}x = {next(versions)}\n", "python", memory), text), repeat)
        )
    )
    forward = float(np.median(timed(lambda: _forward(model, token_ids), repeat)))
    asking = 100 * float(np.median(timed(lambda: _ask(model, engine, token_ids), 2)))
    sampling = seconds_of(lambda: _sample(model, token_ids))
    said = f"{1000 * scratch:.0f} ms from scratch, {1000 * edit:.0f} ms after an edit"
    yield Figure("all lines of 100", "ms", (1000 * scratch,), note=said)
    yield Figure(
        "a plain transformers forward per edit, against us after an edit", "x", (forward / edit,), larger_is_better=True
    )
    yield Figure("asking about each of 100 lines, against us from scratch", "x", (asking / scratch,), 100, 500, True)
    yield Figure(
        "asking about each of 100 lines, against us after an edit", "x", (asking / edit,), larger_is_better=True
    )
    yield Figure(
        "five samples of 100 lines, against us from scratch", "x", (sampling / scratch,), larger_is_better=True
    )


def _fastest(token_ids: torch.Tensor) -> torch.nn.Module:
    """The default model in the type of number that this processor runs it fastest in."""
    models = [
        AutoModelForCausalLM.from_pretrained(default_bundle_path() / "model", dtype=dtype).eval()
        for dtype in (torch.float32, torch.bfloat16)
    ]
    return min(models, key=lambda model: min(timed(lambda: _forward(model, token_ids), 3)))


@torch.inference_mode()
def _forward(model: torch.nn.Module, token_ids: torch.Tensor) -> None:
    model(input_ids=token_ids[:, :1024])


@torch.inference_mode()
def _ask(model: torch.nn.Module, engine: Engine, token_ids: torch.Tensor) -> None:
    """One question: the program, the line again, "does this line have to change?", and a short answer."""
    question = engine.model.encode("\n# Does the line `value = other[index]` have to be changed? Answer: ").token_ids
    prompt = torch.cat([token_ids, torch.from_numpy(question.astype(np.int64))[None]], dim=1)[:, -1000:]
    _generate(model, prompt, _ANSWER_TOKENS)


@torch.inference_mode()
def _sample(model: torch.nn.Module, token_ids: torch.Tensor) -> None:
    """Five programs as long as this one, from its first 64 tokens on, together."""
    _generate(model, token_ids[:, :64].repeat(_SAMPLES, 1), min(token_ids.shape[1], 1000) - 64)


def _generate(model: torch.nn.Module, prompt: torch.Tensor, tokens: int) -> None:
    generate = model.generate
    generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        min_new_tokens=tokens,
        max_new_tokens=tokens,
        do_sample=False,
        use_cache=True,  # the model's own configuration, for training, says otherwise
    )  # type: ignore[operator]
