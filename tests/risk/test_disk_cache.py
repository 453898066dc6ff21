"""Risks on disk: found again, never wrong, bounded, and shared by processes that know nothing of each other."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from risk_lsp.probe.layout import token_layout
from risk_lsp.probe.manifest import Manifest, default_bundle_path, read_manifest
from risk_lsp.risk.engine import _FORMAT, CachedScorer, DiskCache, key_prefix, text_key
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.normal_form import READINGS, ModelText
from risk_lsp.text.structure import sections
from tests.risk.scorers import WordScorer

PROGRAM = "x = BUG1\ny = MAYBE2\n"
KEY = text_key("", PROGRAM, "python")


@pytest.fixture
def manifest() -> Manifest:
    return read_manifest(default_bundle_path())


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def same(first: SpanRisk, second: SpanRisk) -> bool:
    return bool(np.array_equal(first.token_probabilities(), second.token_probabilities()))


def test_what_was_kept_is_found_again_by_another_process(tmp_path: Path) -> None:
    risk = WordScorer().score(PROGRAM)
    DiskCache(tmp_path).put(KEY, risk)

    found = DiskCache(tmp_path).get(KEY)

    assert found is not None and same(found, risk) and found.text_length == len(PROGRAM)


def test_no_code_is_written(tmp_path: Path) -> None:
    DiskCache(tmp_path).put(KEY, WordScorer().score(PROGRAM))

    (file,) = files(tmp_path)
    assert b"BUG1" not in file.read_bytes() and "BUG1" not in str(file)


@pytest.mark.parametrize("spoil", [lambda content: content[:-3], lambda content: b"", lambda content: content + b"x"])
def test_a_damaged_file_counts_as_absent_and_is_removed(tmp_path: Path, spoil: object) -> None:
    assert callable(spoil)
    cache = DiskCache(tmp_path)
    cache.put(KEY, WordScorer().score(PROGRAM))
    (file,) = files(tmp_path)
    file.write_bytes(spoil(file.read_bytes()))

    assert cache.get(KEY) is None and files(tmp_path) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_at_all_bring_anything_but_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / KEY[:2] / KEY[2:]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)

    assert DiskCache(tmp_path).get(KEY) is None


def test_the_folder_stays_within_its_limit_and_loses_the_oldest_first(tmp_path: Path) -> None:
    risk = WordScorer().score(PROGRAM * 100)
    DiskCache(tmp_path).put(KEY, risk)
    size = files(tmp_path)[0].stat().st_size
    cache = DiskCache(tmp_path, 10 * size)
    keys = [text_key("", str(number), "python") for number in range(30)]
    for age, key in enumerate(keys):
        cache.put(key, risk)
        os.utime(tmp_path / key[:2] / key[2:], ns=(0, age))

    DiskCache(tmp_path, 10 * size).put(KEY, risk)

    assert sum(file.stat().st_size for file in files(tmp_path)) <= 10 * size
    assert cache.get(keys[-1]) is not None and cache.get(keys[0]) is None


def test_many_writers_and_readers_of_one_text_see_it_whole(tmp_path: Path) -> None:
    risk = WordScorer().score(PROGRAM * 50)

    def write_and_read(_: int) -> bool:
        DiskCache(tmp_path).put(KEY, risk)
        found = DiskCache(tmp_path).get(KEY)
        return found is not None and same(found, risk)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, range(64)))
    assert len(files(tmp_path)) == 1


def test_a_folder_that_cannot_be_written_keeps_nothing_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / "file" / "risks")

    cache.put(KEY, WordScorer().score(PROGRAM))

    assert cache.get(KEY) is None


def test_on_a_full_disk_nothing_is_kept_and_no_half_of_it_left_behind(tmp_path: Path) -> None:
    """A limit on the size of files fails a write in its middle, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        DiskCache(tmp_path).put(KEY, WordScorer().score(PROGRAM * 50))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert files(tmp_path) == [] and DiskCache(tmp_path).get(KEY) is None


def test_a_text_is_scored_once(tmp_path: Path, manifest: Manifest) -> None:
    scorer = WordScorer()
    cached = CachedScorer(scorer, manifest, DiskCache(tmp_path), numbers="cpu float32")

    first, second = cached.score(PROGRAM, "python"), cached.score(PROGRAM, "python")

    assert scorer.texts == [PROGRAM] and same(first, second)


def test_of_many_texts_those_that_are_not_kept_are_scored_together_and_once_each(
    tmp_path: Path, manifest: Manifest
) -> None:
    scorer = WordScorer()
    cached = CachedScorer(scorer, manifest, DiskCache(tmp_path), numbers="cpu float32")
    cached.score_many(["a = 1\n", "b = 2\n"])

    found = cached.score_many(["c = 3\n", "a = 1\n", "BUG\n", "c = 3\n"])

    assert scorer.texts[2:] == ["c = 3\n", "BUG\n"] and scorer.together == [2, 2]
    assert all(map(same, found, WordScorer().score_many(["c = 3\n", "a = 1\n", "BUG\n", "c = 3\n"])))


def test_risks_of_another_probe_reading_number_format_or_language_are_not_taken(manifest: Manifest) -> None:
    other = replace(manifest, probe_hash="sha256:0")
    prefixes = [
        *(key_prefix(replace(manifest, reading=reading), "cpu float32") for reading in READINGS),
        key_prefix(manifest, "cuda bfloat16"),
        key_prefix(other, "cpu float32"),
    ]
    keys = {text_key(prefix, PROGRAM, language) for prefix in prefixes for language in ("python", "plaintext")}

    assert len(keys) == 8


MODULE = (
    4
    * """import os

LIMIT = 1


@cached
def f(a, b=(1,
        2)):
    if a:
        return b
    return None


class C:
    x = 1

    def m(self):
        return self.x

    @property
    def n(self):
        return 2


"""
)
FORMATS = {3: "d3c7e670752e956c"}


def test_another_way_of_reading_a_text_has_another_format() -> None:
    """Numbers on disk are of the rule by which texts were read: a new rule needs a new number, and its digest here."""
    words = [match.span() for match in re.finditer(r"\s*\w+|\s*\S|\s+\Z", MODULE)]
    starts, ends = np.array(words).T
    cuts = sections(MODULE)
    layout = token_layout(MODULE, starts, ends, cuts)
    reading = [cuts, layout.line.tolist(), layout.part.tolist(), np.rint(1000 * layout.columns).astype(int).tolist()]

    assert FORMATS.get(_FORMAT) == sha256(json.dumps(reading).encode()).hexdigest()[:16]


NORMAL_FORMS = {"normal-1": "e2202eebbbfe5772"}
UNTIDY = (
    MODULE.replace("    ", "\t").replace("\n", "  # note\r\n")
    + "s = f'{a['#']}'\nif x:\n  '''Doc.\n    more\n  '''\nf(\n"
)


def test_another_normal_form_is_another_reading() -> None:
    """Bundles were fitted to texts in the normal form, and numbers on disk are of it: another one has another name."""
    forms = {name: ModelText(UNTIDY, name).text for name in READINGS if name != "verbatim"}
    digests = {name: sha256(form.encode()).hexdigest()[:16] for name, form in forms.items()}

    assert digests == NORMAL_FORMS


def test_a_second_check_prints_the_same_and_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    program = tmp_path / "a.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def check(*options: str) -> str:
        command = [sys.executable, "-m", "risk_lsp", "check", *options, str(program)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    without = check("--no-cache")
    assert not (tmp_path / "cache").exists()
    first, second = check(), check()
    assert first == second == without and len(files(tmp_path / "cache")) == 1
