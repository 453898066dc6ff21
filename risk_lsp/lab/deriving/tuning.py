"""Fine-tuning of a code model on the edit objective: model and probe learn together which lines a fix touches."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.feature_store import FeatureStore, WeightedPrograms, collect_features
from risk_lsp.lab.training.fit_probe import FitOptions, batch_loss
from risk_lsp.lab.training.labelled_programs import ProbeData, read_probe_data
from risk_lsp.lab.training.make_bundle import VALIDATION_SHARE
from risk_lsp.lab.training.training_documents import is_held_out, split_of
from risk_lsp.lab.training.training_files import (
    Progress,
    find_checkpoint,
    load_checkpoint,
    new_probe,
    read_training_record,
    save_checkpoint,
    save_tuned_probe,
    write_training_record,
)
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.decoders.torch_weights import fast_number_type
from risk_lsp.text.normal_form import READINGS, ModelText, Reading

_HEAD_RATE = 1e-3
_WARM_UP = 40  # steps
_LEAST_FACTOR = 0.05  # of the rate, at the end
_SORTED = 400  # programs that are sorted by length before they are cut into steps: less padding
_SAID_EVERY = 25  # steps
_STANDARDISED_BY = 200  # programs


@dataclass(frozen=True)
class TuningOptions:
    """`layers`: residual streams that the probe reads. `frozen`: lowest blocks that stay as they are.

    `rate`: of the model. `tokens`: of a step, padding counted. `ranking`: what the order of lines within failing
    programs counts, where the token, line and program terms together count 3. `minutes`: the whole budget, earlier
    parts of a resumed run counted in. `reading`: how programs are read, as a bundle with the model will read them.
    """

    model: Path
    out: Path
    layers: tuple[int, ...]
    epochs: float = 2.0
    minutes: float = math.inf
    frozen: int = 0
    rate: float = 6e-5
    tokens: int = 3072
    ranking: float = 0.5
    hidden: int = 128
    longest: int = 1536
    reading: Reading = "verbatim"
    threads: int = 1
    seed: int = 1
    checkpoint_minutes: float = 3.0


class Tuning:
    """A model and a probe that learn together from the training problems of `data`; resumes what `out` holds.

    Memory: four float32 copies of the model's weights, and the activations of one step.
    """

    def __init__(self, options: TuningOptions, data: ProbeData) -> None:
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        self._options = options
        training = data.where(lambda program: split_of(program.group) == "train")
        reader = CodeModel.load(options.model, top_layer=0, threads=options.threads)
        texts = [ModelText(program.text, options.reading).text for program in training.programs]
        self._groups = training.groups
        self._tokens = [reader.encode(text).token_ids.astype(np.int64) for text in texts]
        fits = np.array([0 < len(tokens) <= options.longest for tokens in self._tokens])
        store = collect_features(reader, training.programs, (), statistics=False, layout=True, reading=options.reading)
        self._data = WeightedPrograms(
            store, np.asarray(training.weights) * fits, np.asarray(training.span_weights) * fits
        )
        self._validation = np.array([is_held_out(program.group, VALIDATION_SHARE) for program in training.programs])
        self._learnt = np.flatnonzero(~self._validation & (self._data.weights > 0))
        if not len(self._learnt) or not self._validation.any():
            raise BadInput("too few labelled problems to tune a model", "give programs of at least 20 problems")
        self._model = _trainable(options)
        width = self._model.config.hidden_size
        self._head = new_probe(width, len(options.layers), options.hidden)
        self._parts = nn.ModuleDict({"model": self._model, "head": self._head})
        self._number_type = fast_number_type(torch.device("cpu"))
        self._residuals: dict[int, torch.Tensor] = {}
        for layer in options.layers:
            self._model.base_model.layers[layer - 1].register_forward_hook(self._keeper(layer))
        self._standardise()

    def run(self) -> Progress:
        """Tune until the epochs or the minutes are over; returns how far it came.

        Writes `out/model`, and beside it the probe that learnt with it, for `probe fit --probe`.
        """
        options = self._options
        rates = {"model": options.rate, "head": _HEAD_RATE}
        groups = [
            {"params": [each for each in self._parts[name].parameters() if each.requires_grad], "lr": rate}
            for name, rate in rates.items()
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98))
        checkpoint = options.out / "checkpoint"
        progress = Progress()
        if find_checkpoint(checkpoint):
            progress = load_checkpoint(checkpoint, self._parts, [optimizer])
        steps = math.ceil(options.epochs * sum(len(self._tokens[each]) for each in self._learnt) / options.tokens)
        started, saved = time.monotonic() - progress.seconds, time.monotonic()
        chooser = np.random.default_rng((options.seed, progress.step))
        while progress.step < steps:
            for batch in self._batches(self._learnt, chooser):
                done = max(progress.step / steps, progress.seconds / (60 * options.minutes))
                if done >= 1:
                    return self._finish(progress)
                warm = min(1.0, (progress.step + 1) / _WARM_UP)
                factor = warm * (_LEAST_FACTOR + (1 - _LEAST_FACTOR) * (1 + math.cos(math.pi * done)) / 2)
                for group, rate in zip(optimizer.param_groups, rates.values(), strict=True):
                    group["lr"] = rate * factor
                loss = self._loss(batch)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
                optimizer.step()
                progress.step += 1
                progress.tokens += sum(len(self._tokens[each]) for each in batch)
                progress.seconds = time.monotonic() - started
                if progress.step % _SAID_EVERY == 0:
                    speed = progress.tokens / progress.seconds
                    _say(f"step {progress.step} of {steps}, loss {float(loss.detach()):.3f}, {speed:.0f} tokens/s")
                if time.monotonic() - saved > 60 * options.checkpoint_minutes:
                    save_checkpoint(checkpoint, self._parts, [optimizer], progress)
                    saved = time.monotonic()
        return self._finish(progress)

    @torch.inference_mode()
    def validation_loss(self) -> float:
        """The mean loss of batches of validation problems."""
        self._parts.eval()
        held_out = np.flatnonzero(self._validation & (self._data.weights > 0))
        losses = [float(self._loss(batch)) for batch in self._batches(held_out, np.random.default_rng(0))]
        self._parts.train()
        return float(np.mean(losses))

    @torch.inference_mode()
    def _standardise(self) -> None:
        """Take out the mean and the spread that features have before the model is tuned."""
        sample = self._learnt[:: max(1, len(self._learnt) // _STANDARDISED_BY)]
        parts = (sample[first : first + 8] for first in range(0, len(sample), 8))
        found = [self._features(self._data.store.select(part), [self._tokens[each] for each in part]) for part in parts]
        features = torch.cat(found)
        self._head.encoder.mean.copy_(features.mean(dim=0))
        self._head.encoder.scale.copy_(features.std(dim=0).clamp(min=1e-3))

    def _finish(self, progress: Progress) -> Progress:
        _say(f"validation loss {self.validation_loss():.4f} after {progress.tokens:,} tokens")
        folder = self._options.out / "model"
        self._model.save_pretrained(folder, max_shard_size="45MB")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(self._options.model / name, folder / name)
        save_tuned_probe(self._head, self._options.out)
        write_training_record(folder, read_training_record(self._options.model) | {"tuned": self._record(progress)})
        return progress

    def _record(self, progress: Progress) -> dict[str, Any]:
        """What the model was tuned with; `split` tells that a problem outside of it is new to the model."""
        options = {name: value for name, value in asdict(self._options).items() if name not in ("model", "out")}
        return {
            "split": "train",
            "programs": len(self._learnt),
            "problems": len(set(self._groups[self._learnt])),
            "progress": asdict(progress),
            "options": {name: value for name, value in options.items() if value != math.inf},
        }

    def _keeper(self, layer: int) -> Callable[..., None]:
        def keep(_module: object, _inputs: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            self._residuals[layer] = output[0] if isinstance(output, tuple) else output

        return keep

    def _batches(self, programs: NDArray[np.int64], chooser: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Programs drawn by weight, those of a step of like length."""
        weights = self._data.weights[programs]
        drawn = chooser.choice(programs, size=len(programs), p=weights / weights.sum())
        for first in range(0, len(drawn), _SORTED):
            part = sorted(drawn[first : first + _SORTED].tolist(), key=lambda each: len(self._tokens[each]))
            steps: list[list[int]] = [[]]
            for each in part:
                if steps[-1] and (len(steps[-1]) + 1) * len(self._tokens[each]) > self._options.tokens:
                    steps.append([])
                steps[-1].append(each)
            for index in chooser.permutation(len(steps)):
                yield np.array(steps[index], dtype=np.int64)

    def _loss(self, programs: NDArray[np.int64]) -> torch.Tensor:
        batch = self._data.store.select(programs)
        features = self._features(batch, [self._tokens[each] for each in programs])
        terms = FitOptions(ranking=self._options.ranking)
        return batch_loss(self._head, features, batch, self._data.emphasis[programs], terms)

    def _features(self, batch: FeatureStore, texts: list[NDArray[np.int64]]) -> torch.Tensor:
        """What a probe sees, as probe/token_hazards.py has it, with a way back into the model."""
        tokens = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        for row, text in enumerate(texts):
            tokens[row, : len(text)] = torch.from_numpy(text)
            mask[row, : len(text)] = True
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._number_type == torch.bfloat16):
            self._model.base_model(input_ids=tokens, use_cache=False)
        hidden = [self._residuals[layer].float()[mask] for layer in self._options.layers]
        return torch.cat([torch.from_numpy(batch.features.astype(np.float32)), *hidden], dim=1)


def _trainable(options: TuningOptions) -> Any:
    """The model in float32; what learns are the blocks from `frozen` up to the highest that is read."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model: Any = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, local_files_only=True)
    blocks = model.base_model.layers
    if not all(1 <= layer <= len(blocks) for layer in options.layers):
        raise BadInput(f"layers {options.layers} are not all there", f"the model has 1 to {len(blocks)}")
    model.requires_grad_(False)
    for block in blocks[options.frozen : max(options.layers)]:
        block.requires_grad_(True)
    return model.train()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def add_tune_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp train tune`."""
    parser.add_argument("out", type=Path, help="folder for the checkpoint and the tuned model; a run there is resumed")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model to tune")
    parser.add_argument("--data", type=Path, required=True, help="labelled programs, as for `risk-lsp probe fit`")
    parser.add_argument("--layers", required=True, help="layers that the probe reads, such as 6,12")
    parser.add_argument("--per-group", type=int, default=4, help="of a problem, passing and failing (default 4)")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="time budget, earlier parts counted in")
    parser.add_argument("--frozen", type=int, default=0, help="lowest blocks that stay as they are (default 0)")
    parser.add_argument("--rate", type=float, default=6e-5, help="peak learning rate of the model (default 0.00006)")
    parser.add_argument("--ranking", type=float, default=0.5, help="what the order of lines counts (default 0.5)")
    parser.add_argument(
        "--reading", choices=READINGS, default="verbatim", help="how programs are read, as for `risk-lsp probe fit`"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)


def run_tune(args: argparse.Namespace) -> int:
    """Tune the model; returns the exit code."""
    try:
        layers = tuple(int(layer) for layer in args.layers.split(","))
    except ValueError:
        raise BadInput(f"--layers {args.layers} is no list of layers", "write numbers, such as 6,12") from None
    options = TuningOptions(
        model=args.model,
        out=args.out,
        layers=layers,
        epochs=args.epochs,
        minutes=args.minutes,
        frozen=args.frozen,
        rate=args.rate,
        ranking=args.ranking,
        reading=args.reading,
        threads=args.threads,
        seed=args.seed,
    )
    Tuning(options, read_probe_data(args.data, args.per_group)).run()
    return 0
