"""The tokenizer that a GGUF file carries: byte-level BPE with the splitting rules of its family.

The rules are those of llama.cpp (src/llama-vocab.cpp), by the name that the file gives; texts are not normalised.
"""

from __future__ import annotations

from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from risk_lsp.errors import ModelError, first_line
from risk_lsp.model.gguf_file import GgufArray, GgufFile
from risk_lsp.model.tokenizer import TextTokenizer
from risk_lsp.model.weights import hash_text

_CONTROL, _USER_DEFINED, _BYTE = 3, 4, 6
_KEY = "tokenizer.ggml."
_ENGLISH = "'s|'t|'re|'ve|'m|'ll|'d"
_GPT_2 = _ENGLISH + r"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_NUMBERS_OF = (
    rf"(?i:{_ENGLISH})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,%d}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SINGLE_DIGITS = (r"\p{N}", _GPT_2)
# Expressions that cut a text into words, within which tokens are merged: each cuts what those before it left.
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
        raise _damaged(file, "has tokens of the same name")
    try:
        model = models.BPE(vocabulary, pairs, ignore_merges=rules in _LLAMA_3)
    except Exception as error:  # the library raises bare Exception
        raise _damaged(file, f"cannot be built: {first_line(error)}") from error
    tokenizer = Tokenizer(model)
    cuts = [pre_tokenizers.Split(Regex(expression), "isolated") for expression in _RULES[rules]]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_added(tokens, types, _CONTROL, special=True))
    tokenizer.add_tokens(_added(tokens, types, _USER_DEFINED, special=False))
    # The file's own words, not the library's form of them, which its releases may change.
    fingerprint = hash_text("\0".join([rules, *map(str, types), *tokens, *merges]))
    return TextTokenizer(tokenizer, _prefix(file, rules, len(tokens)), fingerprint=fingerprint)


def _strings(file: GgufFile, name: str) -> list[str]:
    array = file.metadata.get(_KEY + name)
    items = file.array(_KEY + name) if isinstance(array, GgufArray) else None
    if not isinstance(items, list) or not items:
        raise _damaged(file, f"has no {name}")
    return items


def _types(file: GgufFile, count: int) -> list[int]:
    """What each token is, as llama.cpp numbers it."""
    array = file.metadata.get(_KEY + "token_type")
    items = file.array(_KEY + "token_type") if isinstance(array, GgufArray) else None
    if items is None or isinstance(items, list) or len(items) != count:
        raise _damaged(file, "does not say of each token what it is")
    types = [int(item) for item in items]
    if _BYTE in types:
        raise _damaged(file, "has tokens of single bytes, which byte-level BPE has not")
    return types


def _added(tokens: list[str], types: list[int], wanted: int, *, special: bool) -> list[AddedToken]:
    return [
        AddedToken(token, special=special, normalized=False)
        for token, kind in zip(tokens, types, strict=True)
        if kind == wanted
    ]


def _prefix(file: GgufFile, rules: Any, count: int) -> tuple[int, ...]:
    """The token that belongs before every text, if one does."""
    if file.metadata.get(_KEY + "add_bos_token", rules in _LLAMA_3) is not True:
        return ()
    token = file.metadata.get(_KEY + "bos_token_id")
    if type(token) is not int or not 0 <= token < count:
        raise _damaged(file, "wants a token before every text and does not say which")
    return (token,)


def _damaged(file: GgufFile, defect: str) -> ModelError:
    return ModelError(f"the tokenizer of {file.path} {defect}", "download or convert the model again")
