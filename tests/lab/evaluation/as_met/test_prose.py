"""Slips that are put into prose, and what is measured of them."""

from __future__ import annotations

import json
import lzma
import random
from pathlib import Path

import numpy as np
import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.lab.evaluation.as_met.prose_slips import (
    FIXES,
    docstrings,
    mended_by_people,
    paragraphs,
    possible_slips,
    with_slips,
    written_prose,
)
from risk_lsp.lab.evaluation.as_met.prose_transfer import SpanScores, measure_level, slipped_texts
from tests.probe.tiny import save_tiny_bundle

PARAGRAPH = (
    "The cache is used by every reader of the file, and it has three entries at the start. A writer that is called"
    " before the first reader must wait for the lock. It is not an error to read an empty file twice."
)
VOCABULARY = {"use", "call", "wait", *PARAGRAPH.lower().split()}


def changed(sentence: str, kind: str) -> set[str]:
    """The sentence with each slip of a kind that fits it."""
    words = sentence.split()
    slips = possible_slips(words, VOCABULARY).get(kind, [])
    return {" ".join([*words[: s.place], *s.words, *words[s.place + s.count :]]) for s in slips}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("agreement", "The files are read.", "The files is read."),
        ("tense", "The lock is used.", "The lock is use."),
        ("article", "Read an entry.", "Read a entry."),
        ("missing", "Read the entry.", "Read entry."),
        ("doubled", "Read it twice.", "Read it it twice."),
        ("swapped", "Do read it twice.", "Do it read twice."),
        ("spelling", "Read files twice.", "Read fiels twice."),
        ("confused", "More then one.", "More than one."),
        ("preposition", "Read in order.", "Read at order."),
        ("opposite", "Read before that.", "Read after that."),
        ("negation", "It is empty.", "It is not empty."),
        ("negation", "It is not empty.", "It is empty."),
        ("number", "It has three.", "It has five."),
        ("number", "Take 3 of them.", "Take 4 of them."),
    ],
)
def test_a_slip_of_each_kind(kind: str, before: str, after: str) -> None:
    assert after in changed(before, kind)


@pytest.mark.parametrize("seed", range(20))
def test_a_word_is_marked_exactly_where_there_is_a_slip(seed: int) -> None:
    text = with_slips("here", PARAGRAPH, VOCABULARY, random.Random(seed))
    told = [text.text[word.start : word.end] for word in text.words]
    assert any(text.slips) == (told != PARAGRAPH.split())
    for place, kind in enumerate(text.slips):
        if kind == "doubled":
            assert told[place] == told[place - 1]


def test_lines_and_sentences_hold_every_word() -> None:
    text = with_slips("here", PARAGRAPH, VOCABULARY, random.Random(3))
    for spans in (text.lines, text.sentences):
        held = " ".join(text.text[span.start : span.end].replace("\n", " ") for span in spans)
        assert held.split() == text.text.split()
    assert len(text.sentences) == 3
    assert max(line.end - line.start for line in text.lines) <= 79


def test_only_plain_paragraphs_are_prose() -> None:
    code = ">>> a = [1, 2]\n>>> f(a)  # {x: y}\n" * 10
    listing = "Parameters\n----------\n" + PARAGRAPH
    assert list(paragraphs(f"{PARAGRAPH}\n\n{code}\n\n{listing}\n\nToo short. Is it?")) == [PARAGRAPH]


def test_docstrings_are_named_by_what_they_describe() -> None:
    text = 'def f():\n    """One."""\n\nclass C:\n    """Two."""\n'
    assert docstrings(text) == {"f": "One.", "C": "Two."}
    assert docstrings("def (") == {}


def test_the_words_that_people_changed_are_marked(tmp_path: Path) -> None:
    before = (
        'def f():\n    """It reverses the bits of a integer and returns them. Nothing else is done here at all."""\n'
    )
    record = {"program": before, "repaired": before.replace("a integer", "an integer")}
    with lzma.open(tmp_path / "repairs_some_history.jsonl.xz", "wt") as file:
        file.write(json.dumps(record) + "\n")
    (found,) = mended_by_people(tmp_path)
    marked = [found.text[w.start : w.end] for w, kind in zip(found.words, found.slips, strict=True) if kind == FIXES]
    assert (found.text.split()[0], marked) == ("It", ["a"])


def test_the_same_paragraphs_get_the_same_slips() -> None:
    assert slipped_texts({"here": [PARAGRAPH] * 5}) == slipped_texts({"here": [PARAGRAPH] * 5})


def test_a_rescale_changes_the_level_and_not_the_order() -> None:
    draw = np.random.default_rng(0)
    truth = draw.uniform(0.02, 0.5, 4_000)
    kind = np.where(draw.random(4_000) < truth, "doubled", "")
    text = np.arange(4_000) // 10
    source = np.where(text % 2, "one", "other")
    told = 1 / (1 + np.exp(-3.0 - 0.5 * np.log(truth / (1 - truth))))  # far too high, and too flat
    found = measure_level(SpanScores(text, source, {"probe": told, "length": truth}, kind), 50)
    auc_before, auc_after = found.auc["probe"][0], found.auc["probe, rescaled"][0]
    assert auc_before is not None and auc_after == pytest.approx(auc_before, abs=0.01)
    assert found.ece[0][0] is not None and found.ece[0][0] > 0.5
    assert found.ece[1][0] is not None and found.ece[1][0] < 0.03


def test_the_command_reads_what_is_installed_and_says_what_it_found(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = save_tiny_bundle(tmp_path / "bundle", model_folder)
    assert main(["evaluate", "prose", "--bundle", str(bundle), "--texts", "8", "--resamples", "20"]) == 0
    said = capsys.readouterr().out
    assert "| lines |" in said and "worth offering" in said


def test_prose_is_drawn_by_source() -> None:
    found = written_prose(None, 5, libraries=["rich"])
    assert set(found) <= {"python", "rich"}
    assert len(found["python"]) == 5
