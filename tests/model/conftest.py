"""Small random-weight models of every family that is promised to work, with a tokenizer trained on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tokenizers.normalizers import Normalizer

from risk_lsp.model import host as hosts
from risk_lsp.model.decoders import torch_host

SMALL = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "first_k_dense_replace": 1}
LATENT = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8}

FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": SMALL,
    "Qwen2": SMALL,
    "Qwen3": {**SMALL, "head_dim": 8},
    "Starcoder2": SMALL,
    "GPTNeoX": {key: value for key, value in SMALL.items() if key != "num_key_value_heads"},
    "DeepseekV2": {**SMALL, **EXPERTS, **LATENT, "num_key_value_heads": 4, "n_group": 1, "topk_group": 1},
    "DeepseekV3": {**SMALL, **EXPERTS, **LATENT, "num_key_value_heads": 4, "n_group": 2, "topk_group": 1},
    "GPT2": {"vocab_size": 320, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64},
    "GPTBigCode": {"vocab_size": 320, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64},
}

PLAIN_FAMILIES = ("Llama", "Qwen2", "Qwen3")
LIBRARIES = ("numpy", "torch")

SAMPLE = """\
def largest(values):
    best = None
    for value in values:
        if best is None or value < best:
            best = value
    return best


class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)
"""


def train_tokenizer(*, text: str = SAMPLE, normalizer: Normalizer | None = None, bos: bool = False) -> Tokenizer:
    """A byte-level BPE tokenizer of 320 tokens, fitted to `text`."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    tokenizer.post_processor = (
        processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
        if bos
        else processors.ByteLevel(trim_offsets=True)
    )
    return tokenizer


def save_family(folder: Path, family: str, *, bos: bool = False, **changes: Any) -> Path:
    """Write a model of `family` with random weights and a tokenizer to `folder`."""
    import transformers

    torch.manual_seed(7)
    config = getattr(transformers, f"{family}Config")(**{**FAMILIES.get(family, SMALL), **changes})
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            # Fresh weights are so small that every distribution is flat; larger ones make mistakes visible.
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.save_pretrained(folder)
    train_tokenizer(bos=bos).save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Folder of a small model by family name, made once per session."""
    made: dict[tuple[str, tuple[tuple[str, Any], ...]], Path] = {}

    def folder(family: str, **changes: Any) -> Path:
        key = (family, tuple(sorted(changes.items())))
        if key not in made:
            made[key] = save_family(tmp_path_factory.mktemp("models") / family, family, **changes)
        return made[key]

    return folder


@pytest.fixture(scope="session", name="save_family")
def save_family_fixture() -> Callable[..., Path]:
    """Writes a small model of a family into a folder; `bos` and config values as wanted."""
    return save_family


@pytest.fixture
def fresh_model(tmp_path: Path) -> Path:
    """Folder of a small Llama that the test may spoil."""
    return save_family(tmp_path / "spoilt", "Llama")


@pytest.fixture(scope="session")
def byte_level_tokenizer() -> Callable[..., Tokenizer]:
    """Trains a byte-level BPE tokenizer; `text`, `normalizer` and `bos` as wanted."""
    return train_tokenizer


@pytest.fixture
def sample() -> str:
    """A short program, longer than the small models' context."""
    return SAMPLE


@pytest.fixture
def run_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have plain decoders run by "numpy", by "torch" alone, or by "", which is transformers."""

    def choose(library: str) -> None:
        if not library:
            monkeypatch.setattr(hosts, "decoder_shape", lambda config: None)
        if library == "torch":
            monkeypatch.setattr(hosts, "MOST_BYTES_OF_NUMPY", 0)
            monkeypatch.setattr(torch_host, "fast_number_type", lambda device: torch.float32)

    return choose


@pytest.fixture(
    params=[*sorted(FAMILIES), *(f"{family}, run by {library}" for family in PLAIN_FAMILIES for library in LIBRARIES)]
)
def family(request: pytest.FixtureRequest, run_by: Callable[[str], None]) -> str:
    """Each supported family in turn, run by transformers, and plain ones once more by numpy and once by torch alone."""
    name, _, library = str(request.param).partition(", run by ")
    run_by(library)
    return name


@pytest.fixture(params=sorted(FAMILIES))
def torch_family(request: pytest.FixtureRequest, run_by: Callable[[str], None]) -> str:
    """Each supported family in turn, run by transformers."""
    run_by("")
    return str(request.param)
