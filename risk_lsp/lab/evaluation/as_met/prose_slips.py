"""Prose that people wrote, and slips of grammar and of fact that are put into it by rules."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from hashlib import sha256
from pathlib import Path

from risk_lsp.lab.evaluation.as_met.well_kept import STANDARD_LIBRARY, library_files, read_shelf
from risk_lsp.lab.json_lines import read_objects
from risk_lsp.lab.training.training_documents import split_of
from risk_lsp.text.document import Span

LIBRARIES = ("scikit-learn", "networkx", "sympy", "pandas", "accelerate", "datasets", "peft", "rich", "attrs")
FIXES = "fixes of people"
_FILES = 400  # of a library, at most
_FEWEST = 30  # paragraphs of a source
_COLUMNS = 79
_WORDS = (25, 120)  # of a paragraph
_PLAIN_SHARE = 0.85  # of its words
_SLIPPED = 0.25  # of sentences
_MOST_FIXED = 3  # words, in a sentence that somebody mended

_PLAIN = re.compile(r"[(\"']?[A-Za-z][a-z]*(?:[-'][a-z]+)*[)\"']?[.,;:!?]?\Z")
_SECTION = re.compile(r"[-=~]{3,}|\b(?:Args|Returns|Raises|Yields|Parameters):?(?:\s|$)|:(?:param|return)")
_WORD = re.compile(r"([a-z']+)([.,;:!?)]*)\Z")
_SENTENCE_END = re.compile(r"[.!?][)\"']?\Z")
_PAIRS = {
    "agreement": "is/are was/were has/have does/do",
    "confused": "there/their its/it's then/than affect/effect to/too whose/who's your/you're",
    "preposition": "in/at of/for to/from with/by on/in for/at",
    "opposite": "first/last before/after minimum/maximum less/greater left/right start/end input/output true/false"
    " positive/negative smallest/largest always/never all/none least/most lower/upper larger/smaller even/odd"
    " increasing/decreasing ascending/descending row/column earlier/later inside/outside",
    "negation": "cannot/can isn't/is doesn't/does don't/do",
}
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_BE = ("is", "are", "was", "were", "be", "been", "being", "has", "have", "had")
_ALSO_NEGATED = ("is", "are", "was", "were", "can", "will", "must", "should", "may", "does", "do")
FACTUAL = ("opposite", "negation", "number")


@dataclass(frozen=True)
class Slip:
    """`count` words of a sentence from `place` on, and what stands there instead."""

    place: int
    count: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class ProseText:
    """A paragraph: where its words, lines and sentences stand, and by word the kind of slip in it, "" for none."""

    source: str
    text: str
    words: tuple[Span, ...]
    lines: tuple[Span, ...]
    sentences: tuple[Span, ...]
    slips: tuple[str, ...]


def written_prose(problems: Path | None, most: int, libraries: Sequence[str] = LIBRARIES) -> dict[str, list[str]]:
    """Paragraphs of plain prose by their source, `most` of each, chosen by a hash: the docstrings of the standard
    library and of installed libraries, and the statements of test problems in problems_*.jsonl.xz of a folder.

    Sources of fewer than _FEWEST paragraphs are left out.
    """
    shelf = [file for file in read_shelf(3 * _FILES, ()).files if file.library == STANDARD_LIBRARY]
    texts = {STANDARD_LIBRARY: [docstring for file in shelf for docstring in docstrings(file.text).values()]}
    for name in libraries:
        files = (file for file, _ in zip(library_files([name]), range(_FILES), strict=False))
        texts[name] = [docstring for file in files for docstring in docstrings(file.text).values()]
    for path in sorted(problems.glob("problems_*.jsonl.xz")) if problems is not None else []:
        prompts = [str(record["prompt"]) for _, record in read_objects(path) if split_of(record["group"]) == "test"]
        texts[path.name.split(".")[0].removeprefix("problems_")] = [
            text for prompt in prompts for text in (docstrings(prompt).values() or [prompt])
        ]
    seen: set[str] = set()
    found: dict[str, list[str]] = {}
    for source, of_source in texts.items():
        plain = {each for text in of_source for each in paragraphs(text)} - seen
        seen |= plain
        if len(plain) >= _FEWEST:
            found[source] = sorted(plain, key=lambda each: sha256(each.encode()).digest())[:most]
    return found


def docstrings(text: str) -> dict[str, str]:
    """The docstrings of Python text by the names of what they describe; none of a text that does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    named = {getattr(node, "name", ""): ast.get_docstring(node) for node in nodes}
    return {name: docstring for name, docstring in named.items() if docstring}


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of plain prose, of two sentences or more, with single spaces."""
    for block in re.split(r"\n\s*\n", text):
        words = block.split()
        plain = sum(bool(_PLAIN.match(word)) for word in words)
        if not _WORDS[0] <= len(words) <= _WORDS[1] or plain < _PLAIN_SHARE * len(words) or _SECTION.search(block):
            continue
        if len(_sentences(words)) >= 2 and _SENTENCE_END.search(words[-1]) and words[0][:1].isupper():
            yield " ".join(words)


def with_slips(source: str, paragraph: str, vocabulary: Collection[str], chooser: random.Random) -> ProseText:
    """The paragraph with a slip in a quarter of its sentences, of a kind that is drawn among those that fit."""
    told: list[tuple[list[str], list[str]]] = []
    for words in _sentences(paragraph.split()):
        kinds = possible_slips(words, vocabulary)
        if not kinds or chooser.random() >= _SLIPPED:
            told.append((words, [""] * len(words)))
            continue
        kind = chooser.choice(sorted(kinds))
        slip = chooser.choice(kinds[kind])
        place, count, put = slip.place, slip.count, slip.words
        is_new = [number >= count or word != words[place + number] for number, word in enumerate(put)]
        marks = [""] * place + [kind if new else "" for new in is_new] + [""] * (len(words) - place - count)
        if not put:  # a fix would put the word in front of the next one
            marks[place] = kind
        told.append(([*words[:place], *put, *words[place + count :]], marks))
    return _set(source, told)


def possible_slips(words: Sequence[str], vocabulary: Collection[str]) -> dict[str, list[Slip]]:
    """The slips that fit a sentence, by their kind. `vocabulary`: words in lower case, to tell stems from stumps."""
    found: dict[str, list[Slip]] = {}

    def add(kind: str, place: int, count: int, *put: str) -> None:
        if place + count < len(words) or put:
            found.setdefault(kind, []).append(Slip(place, count, put))

    for place, word in enumerate(words):
        if word.isdecimal():
            add("number", place, 1, str(int(word) + 1))
        if (match := _WORD.match(word)) is None or place == 0:
            continue
        core, end = match.groups()
        before = words[place - 1].lower()
        for kind, other in _counterparts(core):
            add(kind, place, 1, other + end)
        if core in _NUMBERS:
            add("number", place, 1, _NUMBERS[(_NUMBERS.index(core) + 2) % len(_NUMBERS)] + end)
        if core in _ALSO_NEGATED and not end and words[place + 1 : place + 2] != ["not"]:
            add("negation", place, 1, core, "not")
        if core == "not":
            add("negation", place, 1)
        if core in ("a", "an"):
            add("article", place, 1, "an" if core == "a" else "a")
        if core in ("a", "an", "the"):
            add("missing", place, 1)
        if core.endswith("ed") and before in _BE and (stem := _stem(core, vocabulary)):
            add("tense", place, 1, stem + end)
        if len(core) >= 2 and not end:
            add("doubled", place, 1, core, core)
            after = _WORD.match(words[place + 1]) if place + 1 < len(words) else None
            if after is not None and not after[2] and after[1] != core:
                add("swapped", place, 2, after[1], core)
        if len(core) >= 5 and (wrong := core[:2] + core[3] + core[2] + core[4:]) not in vocabulary:
            add("spelling", place, 1, wrong + end)
    return found


def mended_by_people(folder: Path) -> list[ProseText]:
    """Sentences of docstrings of which somebody changed a few words later, as they were before that.

    The words that were changed are marked. They are of the pairs in repairs_*_history.jsonl.xz.
    """
    found: dict[str, ProseText] = {}
    for path in sorted(folder.glob("repairs_*_history.jsonl.xz")):
        for _, record in read_objects(path):
            before, after = docstrings(str(record["program"])), docstrings(str(record["repaired"]))
            for name in before.keys() & after.keys():
                for sentence in _mended_sentences(before[name], after[name]):
                    found.setdefault(sentence.text, sentence)
    return list(found.values())


def _mended_sentences(before: str, after: str) -> Iterator[ProseText]:
    old, new = before.split(), after.split()
    marks = [""] * len(old)
    for tag, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        few = max(end - start, last - first) <= _MOST_FIXED
        for place in range(start, max(end, start + 1)):
            if place < len(old):
                marks[place] = FIXES if few and all(map(_PLAIN.match, [*old[start:end], *new[first:last]])) else "other"
    place = 0
    for words in _sentences(old):
        of_words = marks[place : place + len(words)]
        place += len(words)
        plain = sum(bool(_PLAIN.match(word)) for word in words)
        if len(words) >= 6 and plain >= _PLAIN_SHARE * len(words) and set(of_words) == {"", FIXES}:
            yield _set(FIXES, [(words, of_words)])


def _counterparts(core: str) -> Iterator[tuple[str, str]]:
    """What a word is taken for, each with the kind of slip."""
    for kind, pairs in _PAIRS.items():
        for pair in pairs.split():
            one, other = pair.split("/")
            if core in (one, other):
                yield kind, other if core == one else one


def _stem(core: str, vocabulary: Collection[str]) -> str | None:
    return next((stem for stem in (core[:-2], core[:-1]) if len(stem) > 2 and stem in vocabulary), None)


def _sentences(words: Iterable[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for word in words:
        if found[-1] and _SENTENCE_END.search(found[-1][-1]) and word[:1].isupper():
            found.append([])
        found[-1].append(word)
    return found


def _set(source: str, sentences: Sequence[tuple[list[str], list[str]]]) -> ProseText:
    """The sentences as one text, in lines of at most _COLUMNS characters."""
    text = ""
    words: list[Span] = []
    lines, of_sentences = [0], []
    for sentence, _ in sentences:
        first = len(words)
        for word in sentence:
            if text and len(text) + 1 + len(word) - lines[-1] > _COLUMNS:
                text += "\n"
                lines.append(len(text))
            elif text:
                text += " "
            words.append(Span(len(text), len(text) + len(word)))
            text += word
        of_sentences.append(Span(words[first].start, words[-1].end))
    ends = [*(start - 1 for start in lines[1:]), len(text)]
    marks = tuple(mark for _, of_words in sentences for mark in of_words)
    return ProseText(source, text, tuple(words), tuple(map(Span, lines, ends)), tuple(of_sentences), marks)
