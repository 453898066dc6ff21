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
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN, _LLAMA_3 = _WORDS.replace("DIGITS", ""), _WORDS.replace("DIGITS", "{1,3}")
_GPT_2 = ("gpt-2", "gpt2", "olmo", "mpt", "phi-2", "jais", "trillion", "granite-docling")
_SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2")
_LLAMA_BPE = ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2")


def gguf_tokenizer(file: GgufFile) -> TextTokenizer:
    """The tokenizer of a GGUF file. Raises ModelError for one of another kind, or one that is not whole."""
    kind, rules = file.metadata.get(_KEY + "model"), file.metadata.get(_KEY + "pre", "default")
    if kind != "gpt2":
        raise ModelError(
            f"the tokenizer of {file.path} is of the kind {kind!r}",
            "use a model with a byte-level BPE tokenizer (gpt2)",
        )
    tokens, merges = _strings(file, "tokens"), _strings(file, "merges")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    pairs = [(first, second) for first, _, second in (merge.partition(" ") for merge in merges)]
    types = _types(file, len(tokens))
    if len(vocabulary) != len(tokens):
        raise _damaged(file, "has tokens of the same name")
    try:
        # Llama 3 takes a word that is a token as it is, though no merges lead to it.
        model = models.BPE(vocabulary, pairs, ignore_merges=rules in _LLAMA_BPE)
    except Exception as error:  # the library raises bare Exception
        raise _damaged(file, f"cannot be built: {first_line(error)}") from error
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = _splitting(file, rules)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_added(tokens, types, _CONTROL, special=True))
    tokenizer.add_tokens(_added(tokens, types, _USER_DEFINED, special=False))
    # The file's own words, not the library's form of them, which its releases may change.
    fingerprint = hash_text("\0".join([rules, *map(str, types), *tokens, *merges]))
    return TextTokenizer(tokenizer, _prefix(file, rules, len(tokens)), fingerprint=fingerprint)


def _splitting(file: GgufFile, rules: Any) -> pre_tokenizers.PreTokenizer:
    """What cuts a text into words, within which tokens are merged."""
    if rules in ("qwen2", "deepseek-r1-qwen", "stablelm2"):
        return _by_expression(_QWEN)
    if rules in (*_LLAMA_BPE, "smaug-bpe", "dbrx"):
        return _by_expression(_LLAMA_3)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if rules in _SINGLE_DIGITS:
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain])
    if rules in _GPT_2:
        return plain
    if rules == "default":
        raise ModelError(
            f"{file.path} does not say how its tokenizer splits words", "convert it again with a recent llama.cpp"
        )
    raise ModelError(
        f"the tokenizer of {file.path} splits words by {str(rules)[:60]!r}, which is not supported",
        "use a model whose tokenizer is that of Qwen2, Llama 3, SmolLM or GPT-2",
    )


def _by_expression(expression: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(expression), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


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
    if file.metadata.get(_KEY + "add_bos_token", rules in _LLAMA_BPE) is not True:
        return ()
    token = file.metadata.get(_KEY + "bos_token_id")
    if type(token) is not int or not 0 <= token < count:
        raise _damaged(file, "wants a token before every text and does not say which")
    return (token,)


def _damaged(file: GgufFile, defect: str) -> ModelError:
    return ModelError(f"the tokenizer of {file.path} {defect}", "download or convert the model again")
