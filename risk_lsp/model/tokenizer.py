"""From text to tokens with character spans, by a fast tokenizer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError, first_line, needs_extra
from risk_lsp.model.activations import Encoding
from risk_lsp.model.weights import hash_files, hash_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

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
        starts, ends = _cover(offsets[:, 0], offsets[:, 1], len(text))
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


def _cover(
    starts: NDArray[np.int32], ends: NDArray[np.int32], length: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Extend spans so that characters a normalizer merged or dropped belong to the token before them."""
    if len(starts) == 0:
        return starts.copy(), ends.copy()
    starts = np.maximum.accumulate(starts)
    starts[starts == starts[0]] = 0
    following = np.append(starts, np.int32(length))[np.searchsorted(starts, starts, side="right")]
    return starts, np.maximum.accumulate(np.maximum(ends, following)).astype(np.int32)


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
    settings = _tokenizer_settings(folder)
    if settings.get("add_bos_token") is False:
        return ()
    marked = tokenizer.encode("x")
    before_text = marked.special_tokens_mask.index(0) if 0 in marked.special_tokens_mask else 0
    if before_text or settings.get("add_bos_token") is not True:
        return tuple(marked.ids[:before_text])
    token = settings.get("bos_token")
    bos = tokenizer.token_to_id(token["content"] if isinstance(token, dict) else str(token))
    return () if bos is None else (bos,)


def _tokenizer_settings(folder: Path) -> dict[str, Any]:
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}
