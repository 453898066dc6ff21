"""Fine-tuning of the model itself on the edit objective, together with its language-model loss: one more attempt.

    python benchmarks/host_tuning.py MODEL DATA OUT [--minutes M]

Model and probe learn together from training problems (and bugs made by machine in their passing programs); the epoch
with the least loss on validation problems is kept as OUT/model. `probe_variants.py OUT/model DATA` then compares it
like any other model: a new probe, fitted to the tuned and from then on frozen model.
"""

from __future__ import annotations

import argparse
import copy
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import AutoModelForCausalLM

from risk_lsp.evaluation.splits import split_of
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.heads import SpanHead, new_head
from risk_lsp.probe.layout import LAYOUT
from risk_lsp.training.documents import is_held_out
from risk_lsp.training.feature_store import FeatureStore, WeightedPrograms, collect_features
from risk_lsp.training.fit_probe import FitOptions, batch_loss
from risk_lsp.training.injected_bugs import with_injected_bugs
from risk_lsp.training.probe_data import read_probe_data
from risk_lsp.training.recipe import VALIDATION_SHARE

_TOGETHER = 16  # programs of a step
_SORTED = 256  # programs that are sorted by length before they are cut into steps: less padding
_WARM_UP = 50  # steps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=25.0, help="after which no step is begun")
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--per-group", type=int, default=6)
    parser.add_argument("--injected", type=int, default=2000)
    parser.add_argument("--injected-weight", type=float, default=0.5, help="of all, against that of real programs")
    parser.add_argument("--rate", type=float, default=3e-4, help="of the model; the probe's is 1e-3")
    parser.add_argument("--language", type=float, default=0.3, help="what the language-model loss counts")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    Tuning(args).run()
    return 0


class Tuning:
    """A model and a probe that learn together."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        data = read_probe_data(args.data, args.per_group).where(lambda program: split_of(program.group) == "train")
        injected = with_injected_bugs(data.programs, args.injected, seed=1)
        programs = [*data.programs, *injected]
        model = CodeModel.load(args.model, threads=args.threads)
        self._tokens = [model.encode(program.text).token_ids.astype(np.int64) for program in programs]
        fits = np.array([0 < len(tokens) <= model.context for tokens in self._tokens])
        self._validation = np.array([is_held_out(program.group, VALIDATION_SHARE) for program in programs])
        weight = args.injected_weight * sum(data.weights) / max(1, len(injected))
        extra = np.full(len(injected), weight) * ~self._validation[len(data.programs) :]
        self._data = WeightedPrograms(
            collect_features(model, programs, (), statistics=False, layout=True),
            np.concatenate([data.weights, extra]) * fits,
            np.concatenate([data.span_weights, extra]) * fits,
        )
        self._host = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
        self._head = self._new_head(model, programs[:600])
        self._residuals: dict[int, torch.Tensor] = {}
        for layer in args.layers:
            self._host.model.layers[layer - 1].register_forward_hook(self._keeper(layer))
        print(f"{len(programs)} programs, {sum(map(len, self._tokens)):,} tokens", file=sys.stderr, flush=True)

    def _new_head(self, model: CodeModel, sample: list[object]) -> SpanHead:
        """A probe that knows the mean and spread of the features before the tuning."""
        store = collect_features(model, sample, self._args.layers, statistics=True, layout=True)  # type: ignore[arg-type]
        features = store.features.astype(np.float32)
        head = new_head("lines", features.shape[1], 32)
        head.encoder.mean.copy_(torch.from_numpy(features.mean(axis=0)))
        head.encoder.scale.copy_(torch.from_numpy(features.std(axis=0).clip(1e-3)))
        return head

    def _keeper(self, layer: int) -> Callable[..., None]:
        """Keeps what a block gives: transformers' own list has the last one only behind the final norm."""

        def keep(_module: object, _inputs: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            self._residuals[layer] = output[0] if isinstance(output, tuple) else output

        return keep

    def run(self) -> None:
        args, chooser = self._args, np.random.default_rng(1)
        optimizer = torch.optim.AdamW(
            [
                {"params": self._host.parameters(), "lr": args.rate, "weight_decay": 0.05},
                {"params": self._head.parameters(), "lr": 1e-3, "weight_decay": 0.05},
            ]
        )
        rates = [group["lr"] for group in optimizer.param_groups]
        training = np.flatnonzero(~self._validation & (self._data.weights > 0))
        total, step, best = args.epochs * len(training) // _TOGETHER, 0, self._judged(math.inf, 0)
        started = time.monotonic()
        for epoch in range(1, args.epochs + 1):
            self._host.train(), self._head.train()
            for batch in self._batches(training, chooser):
                done = max(step / total, (time.monotonic() - started) / (60 * args.minutes))
                if done >= 1:
                    break
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * min(1.0, (step + 1) / _WARM_UP) * (0.05 + 0.95 * (1 - done))
                edit, language = self._losses(batch)
                optimizer.zero_grad()
                (edit + args.language * language).backward()
                torch.nn.utils.clip_grad_norm_(self._host.parameters(), 1.0)
                optimizer.step()
                step += 1
                if step % 50 == 0:
                    print(f"{step} of {total}: {edit:.4f} {language:.4f}", file=sys.stderr, flush=True)
            best = self._judged(best, epoch)
            if time.monotonic() - started > 60 * args.minutes:
                break

    def _batches(self, programs: NDArray[np.int64], chooser: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        weights = self._data.weights[programs]
        drawn = chooser.choice(programs, size=len(programs), p=weights / weights.sum())
        lengths = np.array([len(tokens) for tokens in self._tokens])
        for first in range(0, len(drawn), _SORTED):
            part = drawn[first : first + _SORTED]
            part = part[np.argsort(lengths[part])]
            steps = [part[at : at + _TOGETHER] for at in range(0, len(part), _TOGETHER)]
            for index in chooser.permutation(len(steps)):
                yield steps[index]

    def _losses(self, programs: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """The probe's loss and the language model's, on some programs."""
        batch = self._data.store.select(programs)
        features, language = self._features(batch, [self._tokens[program] for program in programs])
        edit = batch_loss(self._head, features, batch, self._data.emphasis[programs], FitOptions())
        return edit, language

    def _features(self, batch: FeatureStore, texts: list[NDArray[np.int64]]) -> tuple[torch.Tensor, torch.Tensor]:
        """What a probe sees, as risk_lsp.probe.features has it, with a way back into the model; and the surprisal."""
        longest = max(map(len, texts))
        tokens = torch.zeros(len(texts), longest, dtype=torch.long)
        mask = torch.zeros(len(texts), longest, dtype=torch.bool)
        for row, text in enumerate(texts):
            tokens[row, : len(text)] = torch.from_numpy(text)
            mask[row, : len(text)] = True
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self._host(input_ids=tokens, use_cache=False).logits
        spread = torch.log_softmax(logits[:, :-1].float(), dim=-1)
        known = functional.pad(spread.gather(-1, tokens[:, 1:, None]).squeeze(-1), (1, 0))
        with torch.no_grad():
            entropy = functional.pad(torch.special.entr(spread.exp()).sum(dim=-1), (1, 0))[mask]
            surprisal = -known[mask]
        follows = mask.clone()
        follows[:, 0] = False
        hidden = [self._residuals[layer].float()[mask] for layer in self._args.layers]
        layout = torch.from_numpy(batch.features[:, :LAYOUT].astype(np.float32))
        statistics = torch.stack([surprisal, entropy, surprisal - entropy], dim=1)
        return torch.cat([layout, *hidden, statistics], dim=1), -known[follows].mean()

    @torch.inference_mode()
    def _judged(self, best: float, epoch: int) -> float:
        """Keep the model if it is the best so far on validation problems; returns the best loss."""
        self._host.eval(), self._head.eval()
        held_out = np.flatnonzero(self._validation & (self._data.weights > 0))
        losses = [[float(each) for each in self._losses(batch)] for batch in self._batches(held_out, _same())]
        edit, language = np.mean(losses, axis=0)
        print(f"epoch {epoch}: validation {edit:.4f}, language model {language:.4f}", file=sys.stderr, flush=True)
        if epoch and edit < best:
            self._save()
        return min(best, edit) if epoch else best

    def _save(self) -> None:
        folder = self._args.out / "model"
        half = copy.deepcopy(self._host).to(torch.bfloat16)
        half.save_pretrained(folder, max_shard_size="15MB")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(self._args.model / name, folder / name)
        torch.save(self._head.state_dict(), self._args.out / "head.pt")


def _same() -> np.random.Generator:
    return np.random.default_rng(0)


if __name__ == "__main__":
    sys.exit(main())
