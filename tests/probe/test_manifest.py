"""A manifest is read back as it was written, and every manifest that is not whole is refused with its own reason."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from risk_lsp.errors import BundleError, RiskError
from risk_lsp.probe.manifest import read_manifest, write_manifest
from tests.probe.tiny import change_manifest

DAMAGED: list[tuple[dict[str, Any], str]] = [
    ({"format_version": 2}, "format version 2"),
    ({"format_version": True}, "format version True"),
    ({"format_version": ...}, "format version None"),
    ({"name": ...}, "'name' is missing"),
    ({"created": 3}, "'created' is missing or not a str"),
    ({"host": []}, "'host' is missing or not a dict"),
    ({"host__kind": "pickle"}, "kind 'pickle' is unknown"),
    ({"host__location": ""}, "location '' names nothing"),
    ({"host__location": "a\0b"}, "names nothing"),
    ({"host__kind": "folder", "host__location": "models/x"}, "not an absolute path"),
    ({"host__weights_hash": None}, "'weights_hash' is missing"),
    ({"host__tokenizer_hash": ...}, "'tokenizer_hash' is missing"),
    ({"host__revision": 1}, "revision is not text"),
    ({"architecture": "transformer"}, "architecture 'transformer' is unknown"),
    ({"reading": "normal-99"}, "does not know: 'normal-99'"),
    ({"reading": None}, "does not know: None"),
    ({"layers": [], "statistics": False}, "nothing to read"),
    ({"layers": [2, 1]}, "not rising layer numbers"),
    ({"layers": [1, 1]}, "not rising layer numbers"),
    ({"layers": [-1, 1]}, "not rising layer numbers"),
    ({"layers": [True, 2]}, "not rising layer numbers"),
    ({"layers": ["1"]}, "not rising layer numbers"),
    ({"statistics": 1}, "'statistics' is missing or not a bool"),
    ({"width": 0}, "'width' is 0"),
    ({"width": 10**9}, "'width' is 1000000000"),
    ({"width": 16.0}, "'width' is missing or not a int"),
    ({"hidden": -4}, "'hidden' is -4"),
    ({"probe_hash": ...}, "'probe_hash' is missing"),
    ({"calibration": ...}, "theta, scale and power are wanted"),
    ({"calibration__theta": ...}, "theta, scale and power are wanted"),
    ({"calibration__theta": -1.0}, "theta is -1.0"),
    ({"calibration__scale": "1"}, "have to be numbers"),
    ({"calibration__scale": 10**400}, "too large"),
    ({"calibration__power": float("nan")}, "power is nan"),
    ({"trained_on": None}, "'trained_on' is missing"),
    ({"figures": []}, "'figures' is missing"),
    ({"reference": 1}, "'reference' is missing"),
    ({"novelty": "x"}, "'novelty' is missing"),
]


def test_a_manifest_survives_writing_and_reading(bundle: Path, tmp_path: Path) -> None:
    manifest = read_manifest(bundle)
    write_manifest(manifest, tmp_path)

    assert read_manifest(tmp_path) == manifest


def test_writing_leaves_nothing_else_behind(bundle: Path, tmp_path: Path) -> None:
    empty = tmp_path / "fresh"
    empty.mkdir()
    write_manifest(read_manifest(bundle), empty)

    assert [path.name for path in empty.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(("changes", "reason"), DAMAGED, ids=[f"{changes}" for changes, _ in DAMAGED])
def test_a_manifest_with_a_wrong_part_is_refused_by_name(bundle: Path, changes: dict[str, Any], reason: str) -> None:
    change_manifest(bundle, **changes)

    with pytest.raises(BundleError) as caught:
        read_manifest(bundle)

    assert reason in caught.value.message
    assert caught.value.hint


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no probe bundle at .*nowhere"):
        read_manifest(tmp_path / "nowhere")


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"it has no manifest\.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"1" * 5000, b"[" * 100_000])
def test_a_file_that_is_not_json_is_refused(bundle: Path, content: bytes) -> None:
    (bundle / "manifest.json").write_bytes(content)

    with pytest.raises(BundleError, match="is not JSON"):
        read_manifest(bundle)


@pytest.mark.parametrize("value", [[], "x", 1, None])
def test_json_that_is_no_object_is_refused(bundle: Path, value: object) -> None:
    (bundle / "manifest.json").write_text(json.dumps(value))

    with pytest.raises(BundleError, match="is not a JSON object"):
        read_manifest(bundle)


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf{}")
def test_no_bytes_at_all_bring_anything_but_a_refusal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "random-manifest"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_bytes(content)

    with pytest.raises(RiskError):
        read_manifest(folder)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(bundle: Path, data: st.DataObject) -> None:
    whole = bundle / "whole.json"
    if not whole.exists():
        shutil.copy(bundle / "manifest.json", whole)
    value = json.loads(whole.read_text())
    places = [*value, *(f"host__{name}" for name in value["host"]), "calibration__theta"]
    shutil.copy(whole, bundle / "manifest.json")
    change_manifest(bundle, **{data.draw(st.sampled_from(places)): data.draw(json_values)})

    with contextlib.suppress(RiskError):
        assert read_manifest(bundle).width > 0


def test_a_manifest_that_does_not_say_how_texts_are_read_means_as_they_are(bundle: Path) -> None:
    change_manifest(bundle, reading=...)

    assert read_manifest(bundle).reading == "verbatim"


def test_a_manifest_says_how_texts_are_read(bundle: Path) -> None:
    change_manifest(bundle, reading="normal-1")

    assert read_manifest(bundle).reading == "normal-1"
