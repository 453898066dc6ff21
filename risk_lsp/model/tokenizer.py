"""A text as tokens with character spans, by a fast tokenizer: of tokenizer.json, or the one in a GGUF file."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError, first_line, needs_extra
from risk_lsp.model.gguf_file import GgufArray, GgufFile
from risk_lsp.model.sources import hash_files, hash_text

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer


@dataclass(frozen=True, eq=False)
class Encoding:
    """Token ids and character spans of one text, without special tokens.

    `token_ids`, `starts` and `ends` are int32[n]. Token i stands for the characters [starts[i], ends[i]) of the
    original text (code points). Tokens that share one character carry the same span. Starts and ends never decrease,
    and every character of the text belongs to at least one token.
    """

    token_ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.token_ids)

    def some(self, tokens: NDArray[np.integer]) -> Encoding:
        """Those tokens alone, given by rising indices: the one encoding in which characters may lack a token."""
        return Encoding(self.token_ids[tokens], self.starts[tokens], self.ends[tokens])

    def tokens_at(self, offsets: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        """For each character offset, the index of the first token that reaches past it (n at the end of the text)."""
        return np.searchsorted(self.ends, np.asarray(offsets, dtype=np.int64), side="right").astype(np.int64)


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class TextTokenizer:
    """The tokenizer of a model, with what its model expects before every text.

    `prefix` holds the ids of the special tokens that the tokenizer normally puts before a text (beginning of text).
    """

    def __init__(self, tokenizer: Tokenizer, prefix: tuple[int, ...], fingerprint: str | None = None) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # A post-processor adds special tokens and, for byte-level BPE, cuts white space off the offsets: want neither.
        tokenizer.post_processor = None
        # "<|endoftext|>" in a document is text that somebody wrote, not the end of the document.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self.prefix = prefix
        self._fingerprint = fingerprint

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the file that it came from, or of its serialised form where there is no such file."""
        return self._fingerprint or hash_text(self._tokenizer.to_str())

    def encode(self, text: str) -> Encoding:
        """Tokens of `text` and the characters each stands for; lone surrogates are read as U+FFFD."""
        encoded = self._tokenizer.encode(_LONE_SURROGATE.sub("\ufffd", text), add_special_tokens=False)
        token_ids = np.array(encoded.ids, dtype=np.int32)
        offsets = np.array(encoded.offsets, dtype=np.int32).reshape(len(token_ids), 2)
        starts, ends = offsets[:, 0].copy(), offsets[:, 1].copy()
        if len(starts):  # characters that a normalizer merged or dropped belong to the token before them
            starts = np.maximum.accumulate(starts)
            starts[starts == starts[0]] = 0
            following = np.append(starts, np.int32(len(text)))[np.searchsorted(starts, starts, side="right")]
            ends = np.maximum.accumulate(np.maximum(ends, following)).astype(np.int32)
        return Encoding(token_ids, starts, ends)

    def standalone(self) -> Tokenizer:
        """A copy that puts the special tokens before a text by itself, for a tokenizer.json."""
        from tokenizers import Tokenizer, processors

        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        if self.prefix:
            special = [(tokenizer.id_to_token(token), token) for token in self.prefix]
            single = [*(name for name, _ in special), "$A"]
            tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
        return tokenizer

    def token_id(self, token: str) -> int | None:
        """The id of a token by its name, such as "<|endoftext|>"; None if there is no such token."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of tokens, special ones left out; bytes that make no character are shown as U+FFFD."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text


def load_tokenizer(folder: Path, name: str) -> TextTokenizer:
    """The tokenizer of a model folder: tokenizer.json if there is one, else what transformers makes of the folder.

    Raises ModelError if there is none, or none that gives character offsets.
    """
    file = folder / "tokenizer.json"
    if file.is_file():
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare Exception
            raise ModelError(
                f"tokenizer.json of {name} cannot be read: {first_line(error)}", "save or download it again"
            ) from error
        return TextTokenizer(tokenizer, _prefix(tokenizer, folder), hash_files([file]))
    tokenizer = _converted_tokenizer(folder, name)
    return TextTokenizer(tokenizer, _prefix(tokenizer, folder))


def _converted_tokenizer(folder: Path, name: str) -> Tokenizer:
    try:
        from transformers import AutoTokenizer
    except ModuleNotFoundError as error:
        raise needs_extra(name, error) from error
    try:
        loaded: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever a tokenizer class raises, the answer is the same
        raise ModelError(
            f"{name} has no tokenizer that can be loaded: {first_line(error)}", "add a tokenizer.json to the folder"
        ) from error
    if not loaded.is_fast:
        raise ModelError(
            f"the tokenizer of {name} gives no character offsets (a slow tokenizer)",
            "convert it to tokenizer.json: a fast tokenizer is needed",
        )
    tokenizer: Tokenizer = loaded.backend_tokenizer
    return tokenizer


def _prefix(tokenizer: Tokenizer, folder: Path) -> tuple[int, ...]:
    """Ids of the special tokens that belong before a text, by the post-processor or the tokenizer's settings."""
    settings: Any = {}
    with contextlib.suppress(OSError, ValueError):
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings = settings if isinstance(settings, dict) else {}
    if settings.get("add_bos_token") is False:
        return ()
    marked = tokenizer.encode("x")
    before_text = marked.special_tokens_mask.index(0) if 0 in marked.special_tokens_mask else 0
    if before_text or settings.get("add_bos_token") is not True:
        return tuple(marked.ids[:before_text])
    token = settings.get("bos_token")
    bos = tokenizer.token_to_id(token["content"] if isinstance(token, dict) else str(token))
    return () if bos is None else (bos,)


_CONTROL, _USER_DEFINED, _BYTE = 3, 4, 6
_KEY = "tokenizer.ggml."
_ENGLISH = "'s|'t|'re|'ve|'m|'ll|'d"
_GPT_2 = _ENGLISH + r"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_NUMBERS_OF = (
    rf"(?i:{_ENGLISH})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,%d}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SINGLE_DIGITS = (r"\p{N}", _GPT_2)
# By the name that a GGUF file gives, as in llama.cpp (src/llama-vocab.cpp), the
# expressions that cut a text into words, within which tokens are merged: each cuts what those before it left.
_RULES = {
    **dict.fromkeys(("gpt-2", "mpt", "olmo", "phi-2", "jais", "trillion", "granite-docling"), (_GPT_2,)),
    **dict.fromkeys(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"), _SINGLE_DIGITS
    ),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"), (_NUMBERS_OF % 1,)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "smaug-bpe", "dbrx"), (_NUMBERS_OF % 3,)),
    "deepseek-coder": (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥\u0800-一가-\ud7ff]+", r"\p{N}"),
    "default": (r"[\p{P}$+<=>^~|]+", _GPT_2, r"\p{N}+", "[0-9]{3}"),
}
# Llama 3 takes a word that is a token as it is, though no merges lead to it, and wants a token before every text.
_LLAMA_3 = ("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral")


def gguf_tokenizer(file: GgufFile) -> TextTokenizer:
    """The tokenizer of a GGUF file. Raises ModelError for one of another kind, or one that is not whole."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    kind, rules = file.metadata.get(_KEY + "model"), file.metadata.get(_KEY + "pre", "default")
    if kind != "gpt2":
        raise ModelError(
            f"the tokenizer of {file.path} is of the kind {str(kind)[:60]!r}",
            "use a model of byte-level BPE tokens (gpt2)",
        )
    if rules not in _RULES:
        raise ModelError(
            f"the tokenizer of {file.path} splits words by the rules {str(rules)[:60]!r}, which are not supported",
            "use a model whose tokenizer is that of Qwen2, Llama 3, SmolLM or GPT-2",
        )
    tokens, merges = _strings(file, "tokens"), _strings(file, "merges")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    pairs = [(first, second) for first, _, second in (merge.partition(" ") for merge in merges)]
    types = _types(file, len(tokens))
    if len(vocabulary) != len(tokens):
        raise _damage_error(file, "has tokens of the same name")
    try:
        model = models.BPE(vocabulary, pairs, ignore_merges=rules in _LLAMA_3)
    except Exception as error:  # the library raises bare Exception
        raise _damage_error(file, f"cannot be built: {first_line(error)}") from error
    tokenizer = Tokenizer(model)
    cuts = [pre_tokenizers.Split(Regex(expression), "isolated") for expression in _RULES[rules]]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_added_tokens(tokens, types, _CONTROL, special=True))
    tokenizer.add_tokens(_added_tokens(tokens, types, _USER_DEFINED, special=False))
    # The file's own words, not the library's form of them, which its releases may change.
    fingerprint = hash_text("\0".join([rules, *map(str, types), *tokens, *merges]))
    return TextTokenizer(tokenizer, _gguf_prefix(file, rules, len(tokens)), fingerprint=fingerprint)


def _strings(file: GgufFile, name: str) -> list[str]:
    array = file.metadata.get(_KEY + name)
    items = file.array(_KEY + name) if isinstance(array, GgufArray) else None
    if not isinstance(items, list) or not items:
        raise _damage_error(file, f"has no {name}")
    return items


def _types(file: GgufFile, count: int) -> list[int]:
    """What each token is, as llama.cpp numbers it."""
    array = file.metadata.get(_KEY + "token_type")
    items = file.array(_KEY + "token_type") if isinstance(array, GgufArray) else None
    if items is None or isinstance(items, list) or len(items) != count:
        raise _damage_error(file, "does not say of each token what it is")
    types = [int(item) for item in items]
    if _BYTE in types:
        raise _damage_error(file, "has tokens of single bytes, which byte-level BPE has not")
    return types


def _added_tokens(tokens: list[str], types: list[int], wanted: int, *, special: bool) -> list[AddedToken]:
    from tokenizers import AddedToken

    return [
        AddedToken(token, special=special, normalized=False)
        for token, kind in zip(tokens, types, strict=True)
        if kind == wanted
    ]


def _gguf_prefix(file: GgufFile, rules: Any, count: int) -> tuple[int, ...]:
    """The token that belongs before every text, if one does."""
    if file.metadata.get(_KEY + "add_bos_token", rules in _LLAMA_3) is not True:
        return ()
    token = file.metadata.get(_KEY + "bos_token_id")
    if type(token) is not int or not 0 <= token < count:
        raise _damage_error(file, "wants a token before every text and does not say which")
    return (token,)


def _damage_error(file: GgufFile, defect: str) -> ModelError:
    return ModelError(f"the tokenizer of {file.path} {defect}", "download or convert the model again")
