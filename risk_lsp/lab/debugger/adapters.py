"""LoRA adapters of a model: loading, saving with the model they change, and what every training run keeps on disk.

A run's folder holds `checkpoints/` while it lasts, and at its end `adapter/` (safetensors, a few MB), `model/` (the
model with the adapter merged in, which everything else here loads) and `training.json`.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from peft import LoraConfig, PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback
from transformers.utils import logging

from risk_lsp.errors import BadInput
from risk_lsp.lab.debugger.dialogue import ChatFormat
from risk_lsp.model.sources import ADAPTER_RECORD, hash_weights
from risk_lsp.repair.model_questions import SYSTEM

RECORD: Final = "training.json"
_SECONDS = "seconds.json"
_MATRICES = "all-linear"
_SAID_SECONDS = 20.0


@dataclass(frozen=True)
class AdapterOptions:
    """What both ways of training share. model: a folder or a GGUF file. adapter: to go on from, None for a new one.

    products: what matrices are multiplied in, while what learns stays in float32. steps: of the optimizer, None for
    whole epochs. minutes: the whole budget, earlier parts of a resumed run counted in. longest: tokens of a question
    with its answer; longer ones are left out. blocks: how many learn, the uppermost ones, None for all: nothing goes
    back through those below.
    """

    model: Path
    out: Path
    adapter: Path | None = None
    products: Literal["float32", "bfloat16"] = "float32"
    rank: int = 16
    blocks: int | None = None
    rate: float = 2e-4
    steps: int | None = None
    epochs: float = 1.0
    minutes: float = math.inf
    longest: int = 1024
    checkpoint_steps: int = 20
    threads: int = 1
    seed: int = 0


def load_base(options: AdapterOptions) -> tuple[Any, ChatFormat]:
    """The model, with the adapter that it goes on from, and its chat format.

    Its own weights learn nothing: they are kept in the numbers that products are made of, the adapter's in float32.

    BadInput for a damaged one, and where the folder's run came to its end: it would be written over.
    """
    if (options.out / RECORD).is_file():
        raise BadInput(f"{options.out / RECORD} tells of a finished run", "name another folder, or remove this one")
    torch.set_num_threads(options.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    path = options.model
    try:
        chat = ChatFormat.of(path)
        place = path.parent if path.is_file() else path
        of_gguf = {"gguf_file": path.name} if path.is_file() else {}
        kind = torch.float32 if of_gguf or options.products == "float32" else torch.bfloat16
        model: Any = AutoModelForCausalLM.from_pretrained(
            place, dtype=kind, local_files_only=True, use_safetensors=True, **of_gguf
        )
        if of_gguf:
            # transformers unpacks the weights, but takes the model for one in few bits, which cannot learn.
            weights = model.state_dict()
            config = AutoConfig.from_pretrained(place, local_files_only=True, **of_gguf)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            model.load_state_dict(weights)
        if options.adapter is not None:
            model = PeftModel.from_pretrained(model, options.adapter, is_trainable=True)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{options.adapter or path} cannot be loaded: {error}", "name a model folder, a GGUF file, or an adapter"
        ) from error
    if chat.tokenizer.eos_token is None:
        end = model.config.eos_token_id
        chat.tokenizer.eos_token = chat.tokenizer.convert_ids_to_tokens(end[0] if isinstance(end, list) else end)
    if chat.tokenizer.pad_token is None:
        chat.tokenizer.pad_token = chat.tokenizer.eos_token
    return model, chat


def new_adapter(options: AdapterOptions, model: Any) -> LoraConfig | None:
    """LoRA in every matrix of the blocks that learn (arXiv 2106.09685); None where one was loaded.

    BadInput where the model has fewer blocks than are to learn.
    """
    if options.adapter is not None:
        return None
    every = model.config.num_hidden_layers
    # Blocks can be chosen for modules by their own names alone; the head, which "all-linear" leaves out, is in none.
    names = {name.rpartition(".")[2] for name, each in model.named_modules() if isinstance(each, torch.nn.Linear)}
    if options.blocks is not None and not 1 <= options.blocks <= every:
        raise BadInput(f"{options.blocks} blocks cannot learn", f"the model has {every}")
    return LoraConfig(
        r=options.rank,
        lora_alpha=2 * options.rank,
        target_modules=_MATRICES if options.blocks is None else sorted(names - {"lm_head"}),
        layers_to_transform=None if options.blocks is None else list(range(every - options.blocks, every)),
        task_type="CAUSAL_LM",
        lora_dropout=0.05,
    )


def trainer_arguments(options: AdapterOptions) -> dict[str, Any]:
    """Arguments of trl's trainers: what is written, how often, and where it runs."""
    return {
        "output_dir": str(options.out / "checkpoints"),
        "learning_rate": options.rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 5,
        "max_steps": options.steps or -1,
        "num_train_epochs": options.epochs,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": options.checkpoint_steps,
        "save_total_limit": 2,
        "seed": options.seed,
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": options.products == "bfloat16",
        "gradient_checkpointing": None,  # which trl turns on
        "activation_checkpointing": False,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": False,
    }


class TimeBudget(TrainerCallback):  # type: ignore[misc]  # transformers' types are not followed
    """Ends a run when its minutes are over, says how far it is, and keeps the seconds beside the checkpoints."""

    def __init__(self, options: AdapterOptions, shown: Sequence[str]) -> None:
        self._file = options.out / _SECONDS
        self._limit = 60 * options.minutes
        self._shown = shown
        before = json.loads(self._file.read_text("utf-8")) if self._file.is_file() else 0.0
        self._started = time.monotonic() - before
        self._said = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for the end, and for a checkpoint, when the time is over."""
        if time.monotonic() - self._started > self._limit:
            control.should_training_stop = control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep the seconds spent up to this checkpoint."""
        self._file.write_text(json.dumps(time.monotonic() - self._started), encoding="utf-8")

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """Say the figures of the newest step now and then."""
        figures = [f"{name} {logs[name]:.3f}" for name in self._shown if name in logs] if logs else []
        if figures and (time.monotonic() - self._said > _SAID_SECONDS or state.global_step == state.max_steps):
            self._said = time.monotonic()
            print(f"step {state.global_step} of {state.max_steps}: {', '.join(figures)}", file=sys.stderr, flush=True)


def newest_checkpoint(out: Path) -> str | None:
    """The newest whole checkpoint of a run, for the trainer; parts of one that was being written are removed."""
    numbered = sorted(
        (out / "checkpoints").glob("checkpoint-*"), key=lambda folder: int(folder.name.rpartition("-")[2]), reverse=True
    )
    for folder in numbered:
        # The trainer writes it last.
        if (folder / "trainer_state.json").is_file() and _is_whole(folder / "trainer_state.json"):
            return str(folder)
        shutil.rmtree(folder)
    return None


def _is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_text("utf-8"))
    except ValueError:
        return False
    return True


def save_run(trainer: Any, chat: ChatFormat, options: AdapterOptions, record: Mapping[str, Any]) -> None:
    """Write the adapter, the model with it merged in (bfloat16), and the record with the figures of every step."""
    trainer.model.save_pretrained(options.out / "adapter", selected_adapters=["default"])
    before, after = chat.around(SYSTEM)
    base = {"base": hash_weights(options.model), "before": before, "after": after}
    (options.out / "adapter" / ADAPTER_RECORD).write_text(json.dumps(base) + "\n", encoding="utf-8")
    merged = trainer.model.merge_and_unload(adapter_names=["default"])
    merged.to(torch.bfloat16).save_pretrained(options.out / "model")
    chat.tokenizer.save_pretrained(options.out / "model")
    figures = [step for step in trainer.state.log_history if "train_runtime" not in step]
    whole = {**record, "steps": trainer.state.global_step, "figures": figures}
    (options.out / RECORD).write_text(json.dumps(whole, indent=1, default=str) + "\n", encoding="utf-8")


def plot_figures(figures: Sequence[Mapping[str, Any]], names: Mapping[str, str], path: Path, title: str) -> None:
    """Draw the figures of a run by step, a curve for each name, with its label, that has any."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.4), dpi=120, layout="constrained")
    axes = figure.subplots()
    for name, label in names.items():
        points = [(step["step"], step[name]) for step in figures if name in step and step[name] is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label)
    axes.set(title=title, xlabel="step")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")
