"""Training of a small causal decoder: next-token prediction on packed tokens within a budget of time."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn, optim
from torch.nn import functional
from transformers import Qwen3Config, Qwen3ForCausalLM

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.packing import Sequences, Streams, read_corpus
from risk_lsp.lab.training.training_files import Progress, find_checkpoint, load_checkpoint, save_checkpoint


def rate_factor(progress: float, *, warm_up: float = 0.02, decay: float = 0.35) -> float:
    """Factor in [0, 1] for the peak learning rate at `progress` in [0, 1]: warm-up, plateau, linear decay to 0.

    Warm-up-stable-decay (Hu et al., arXiv 2404.06395): the plateau lets a run be prolonged from its last checkpoint.
    """
    if progress < warm_up:
        return max(progress, 0.0) / warm_up
    return min(1.0, max(0.0, (1.0 - progress) / decay))


def build_optimizers(model: nn.Module, rate: float, weight_decay: float) -> list[optim.Optimizer]:
    """Muon (Jordan et al. 2024; scaled as in arXiv 2502.16982, so that one rate fits both) and AdamW.

    Embeddings, norms and biases go to AdamW; every other matrix goes to Muon.
    """
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
        (matrices if is_matrix else others).append(parameter)
    muon = optim.Muon(matrices, lr=rate, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    adamw = optim.AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.95))
    return [muon, adamw]


def set_rate(optimizers: list[optim.Optimizer], rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


@dataclass(frozen=True)
class ModelShape:
    """Sizes of the decoder; `context` in tokens."""

    width: int = 256
    layers: int = 6
    heads: int = 4
    key_value_heads: int = 2
    feed_forward: int = 768
    context: int = 1024


def new_model(shape: ModelShape, vocabulary_size: int, end_of_text: int) -> Qwen3ForCausalLM:
    """A randomly initialised float32 decoder; embeddings tied, queries and keys normalised (stable at high rates)."""
    config = Qwen3Config(
        vocab_size=vocabulary_size,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.width // shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end_of_text,
        pad_token_id=end_of_text,
        attention_dropout=0.0,
        use_cache=False,
    )
    return Qwen3ForCausalLM(config)


_HELD_OUT_BATCH = 8


@dataclass(frozen=True)
class TrainingOptions:
    """What a run may be told; `minutes` is the whole budget, earlier parts of a resumed run counted in."""

    corpus: Path
    out: Path
    minutes: float
    shape: ModelShape
    batch: int = 8
    micro_batch: int = 8
    length: int = 1024
    rate: float = 4e-3
    weight_decay: float = 0.1
    model_written_share: float = 0.3
    device: str = "cpu"
    threads: int = 0
    seed: int = 1
    checkpoint_minutes: float = 3.0
    evaluation_steps: int = 250
    compile: bool = False


def train(options: TrainingOptions) -> Progress:
    """Train (or go on training) and write `out/model`; returns how far it came."""
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    manifest = read_corpus(options.corpus)
    streams = Streams.read(options.corpus, options.model_written_share)
    streams.held_out_batches(_HELD_OUT_BATCH, options.length, 1)  # too little of it is told now, not when all is done
    model = new_model(options.shape, manifest["vocabulary_size"], manifest["end_of_text"]).to(options.device)
    optimizers = build_optimizers(model, options.rate, options.weight_decay)
    checkpoint = options.out / "checkpoint"
    progress = load_checkpoint(checkpoint, model, optimizers) if find_checkpoint(checkpoint) else Progress()
    parameters = sum(p.numel() for p in model.parameters())
    _say(f"{parameters:,} parameters, step {progress.step}, {progress.seconds / 60:.1f} min spent")
    _Run(options, model, optimizers, streams, progress).until_spent(checkpoint)
    held_out = held_out_loss(model, streams, options)
    _say(f"held-out loss {held_out:.4f} nats/token after {progress.tokens:,} tokens")
    save_model(model, options, progress, held_out)
    return progress


def held_out_loss(model: Qwen3ForCausalLM, streams: Streams, options: TrainingOptions, batches: int = 16) -> float:
    """Mean cross-entropy on held-out files, nats per token."""
    model.eval()
    with torch.inference_mode():
        losses = [
            float(_loss(model, batch, options.device))
            for batch in streams.held_out_batches(_HELD_OUT_BATCH, options.length, batches)
        ]
    model.train()
    return sum(losses) / len(losses)


def save_model(model: Qwen3ForCausalLM, options: TrainingOptions, progress: Progress, held_out: float) -> None:
    """Write `out/model` in the transformers format: bfloat16 safetensors of at most 15 MB a file, and the tokenizer."""
    folder = options.out / "model"
    half = Qwen3ForCausalLM(model.config).to(torch.bfloat16)
    half.load_state_dict({name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()})
    half.tie_weights()
    half.save_pretrained(folder, max_shard_size="15MB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((options.corpus / name).read_bytes())
    record = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "held_out_loss": round(held_out, 4),
        "progress": asdict(progress),
        "options": {key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()},
        "corpus": {
            key: value for key, value in read_corpus(options.corpus).items() if key in ("streams", "sources", "command")
        },
    }
    record["options"].pop("corpus"), record["options"].pop("out")
    (options.out / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


class _Run:
    """One stretch of training: steps until the budget is spent, with checkpoints, measurements and progress lines."""

    def __init__(
        self,
        options: TrainingOptions,
        model: Qwen3ForCausalLM,
        optimizers: list[torch.optim.Optimizer],
        streams: Streams,
        progress: Progress,
    ) -> None:
        self.options, self.model, self.optimizers = options, model, optimizers
        self.streams, self.progress = streams, progress
        self.budget = options.minutes * 60
        if options.compile and progress.seconds < self.budget:
            self._compile()

    def until_spent(self, checkpoint: Path) -> None:
        progress, started = self.progress, time.monotonic()
        spent_before, saved, said, said_tokens = progress.seconds, started, started, progress.tokens
        running = math.nan
        while progress.seconds < self.budget:
            loss = self._step()
            running = loss if math.isnan(running) else 0.95 * running + 0.05 * loss
            now = time.monotonic()
            progress.seconds = spent_before + now - started
            if now - said > 20:
                speed = (progress.tokens - said_tokens) / (now - said)
                spent = progress.seconds / self.budget
                _say(f"step {progress.step}  loss {running:.3f}  {speed:,.0f} tokens/s  {spent:.0%} of the budget")
                said, said_tokens = now, progress.tokens
            if progress.step % self.options.evaluation_steps == 0:
                measured = held_out_loss(self.model, self.streams, self.options, 4)
                _say(f"step {progress.step}  held-out loss {measured:.4f}")
            if now - saved > self.options.checkpoint_minutes * 60:
                save_checkpoint(checkpoint, self.model, self.optimizers, progress)
                saved = now
        save_checkpoint(checkpoint, self.model, self.optimizers, progress)

    def _compile(self) -> None:
        """Compile before the clock starts: layer by layer, so that one compilation serves them all.

        A whole model traced by torch would get a mask in memory, and with it no flash attention.
        """
        options, started = self.options, time.monotonic()
        for layer in self.model.model.layers:
            layer.compile()
        sequences = self.streams.batch(0, options.micro_batch, options.length, options.seed)
        _loss(self.model, sequences, options.device).backward()  # type: ignore[no-untyped-call]
        self.model.zero_grad(set_to_none=True)
        held_out_loss(self.model, self.streams, options, 1)
        _say(f"compiled in {time.monotonic() - started:.0f} s")

    def _step(self) -> float:
        options, progress = self.options, self.progress
        set_rate(self.optimizers, options.rate * rate_factor(progress.seconds / self.budget))
        sequences = self.streams.batch(progress.step, options.batch, options.length, options.seed)
        pieces = [sequences[at : at + options.micro_batch] for at in range(0, options.batch, options.micro_batch)]
        total = 0.0
        for piece in pieces:
            loss = _loss(self.model, piece, options.device) * (len(piece) / options.batch)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if not math.isfinite(total):
            raise BadInput(
                f"the loss is {total} at step {progress.step}", "lower --rate and resume from the last checkpoint"
            )
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.tokens += options.batch * options.length
        return total


def _loss(model: torch.nn.Module, sequences: Sequences, device: str) -> torch.Tensor:
    tokens = torch.from_numpy(sequences).to(device)
    with torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
        logits = model(input_ids=tokens[:, :-1]).logits
    return functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
