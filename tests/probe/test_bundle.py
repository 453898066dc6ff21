"""A whole bundle loads; one with any part missing, damaged, unsafe or of another model is refused with its reason."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from risk_lsp.errors import BundleError, RiskError
from risk_lsp.model.sources import hash_files
from risk_lsp.probe.bundle import PROBE_FILE, load_bundle, load_probe
from risk_lsp.probe.manifest import ModelIdentity, read_manifest
from tests.probe.tiny import HIDDEN, change_manifest, random_head, save_model, save_tiny_bundle

Tensors = dict[str, torch.Tensor]


def change_probe(bundle: Path, change: Callable[[Tensors], Any]) -> None:
    """Change the probe's tensors in place, and the manifest's hash with them."""
    tensors = load_file(bundle / PROBE_FILE)
    change(tensors)
    save_file(tensors, bundle / PROBE_FILE)
    change_manifest(bundle, probe_hash=hash_files([bundle / PROBE_FILE]))


def change_file(path: Path, old: str, new: str) -> None:
    content = path.read_text("utf-8")
    assert old in content
    path.write_text(content.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("architecture", ["hazard", "lines"])
def test_the_probe_of_a_bundle_is_the_one_that_was_saved(bundles: dict[str, Path], architecture: str) -> None:
    probe = load_bundle(bundles[architecture]).reader

    saved = load_file(bundles[architecture] / PROBE_FILE)
    assert probe.architecture == architecture
    features = np.ones((1, saved["encoder.mean"].shape[0]), dtype=np.float32)
    expected = (features - saved["encoder.mean"].numpy()) / saved["encoder.scale"].numpy()
    np.testing.assert_allclose(probe.standardise(features), expected.clip(-8, 8), rtol=1e-6)


def test_a_model_in_a_folder_of_its_own_is_found_there(model_folder: Path, tmp_path: Path) -> None:
    path = save_tiny_bundle(
        tmp_path / "bundle",
        model_folder,
        host=lambda model: ModelIdentity("folder", str(model_folder), model.weights_hash, model.tokenizer_hash),
    )

    assert load_bundle(path).model.name == "tiny"


def test_without_statistics_only_the_layers_up_to_the_highest_tap_are_loaded(
    model_folder: Path, tmp_path: Path
) -> None:
    path = save_tiny_bundle(tmp_path / "bundle", model_folder, layers=(1,), statistics=False)
    model = load_bundle(path).model

    with pytest.raises(RiskError, match="layer 2"):
        model.read(model.encode("x"), (2,))


def test_a_bundle_can_be_loaded_with_its_whole_model(model_folder: Path, tmp_path: Path) -> None:
    path = save_tiny_bundle(tmp_path / "bundle", model_folder, layers=(1,), statistics=False)
    model = load_bundle(path, whole_model=True).model

    assert model.read(model.encode("x = 1"), (1,), statistics=True).entropies is not None


@pytest.mark.parametrize("name", ["probe.pkl", "model/weights.bin", "model/deep/optimizer.pt", "table.npy"])
def test_a_file_that_may_hold_a_pickle_is_refused_by_name(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_bytes(b"")

    with pytest.raises(BundleError, match=f"{name} may hold a pickle"):
        load_bundle(bundle)


def test_a_missing_probe_is_refused(bundle: Path) -> None:
    (bundle / PROBE_FILE).unlink()

    with pytest.raises(BundleError, match=r"lacks probe\.safetensors"):
        load_bundle(bundle)


def test_a_probe_other_than_the_one_the_manifest_names_is_refused(bundle: Path) -> None:
    save_file({"x": torch.zeros(1)}, bundle / PROBE_FILE)

    with pytest.raises(BundleError, match="the hash differs"):
        load_bundle(bundle)


def damaged_probes() -> list[tuple[str, bytes]]:
    odd_type = json.dumps({"x": {"dtype": "F8_E8M0", "shape": [1], "data_offsets": [0, 1]}}).encode()
    return [
        ("empty", b""),
        ("not safetensors", b"\x80\x04]q\x00."),
        ("endless header", struct.pack("<Q", 2**60)),
        ("a type that torch lacks", struct.pack("<Q", len(odd_type)) + odd_type + b"\0"),
    ]


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in damaged_probes()])
def test_a_damaged_probe_is_refused(bundle: Path, content: bytes) -> None:
    (bundle / PROBE_FILE).write_bytes(content)
    change_manifest(bundle, probe_hash=hash_files([bundle / PROBE_FILE]))

    with pytest.raises(BundleError, match=r"probe\.safetensors is damaged"):
        load_bundle(bundle)


WRONG_TENSORS: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "one too many": (lambda t: t.update(extra=torch.zeros(1)), "does not hold the tensors of a hazard probe: extra"),
    "one missing": (lambda t: t.pop("output.bias"), "does not hold the tensors of a hazard probe: output.bias"),
    "another shape": (lambda t: t.update({"output.bias": torch.zeros(2)}), "output.bias has shape (2,), where"),
    "another type": (
        lambda t: t.update({"output.bias": torch.zeros(1, dtype=torch.float16)}),
        "output.bias is of type float16, not float32",
    ),
    "not a number": (lambda t: t["encoder.project.weight"].fill_(float("nan")), "encoder.project.weight holds numbers"),
    "infinite": (lambda t: t["encoder.mean"].fill_(float("inf")), "encoder.mean holds numbers that are not finite"),
}


@pytest.mark.parametrize(("change", "reason"), WRONG_TENSORS.values(), ids=WRONG_TENSORS.keys())
def test_a_probe_with_a_wrong_tensor_is_refused_by_name(
    bundle: Path, change: Callable[[Tensors], Any], reason: str
) -> None:
    change_probe(bundle, change)

    with pytest.raises(BundleError) as caught:
        load_bundle(bundle)

    assert reason in caught.value.message


def test_a_manifest_of_another_size_of_probe_is_refused(bundle: Path) -> None:
    change_manifest(bundle, hidden=HIDDEN + 1)

    with pytest.raises(BundleError, match="where the manifest implies"):
        load_bundle(bundle)


def test_a_manifest_that_implies_an_enormous_probe_costs_no_memory(bundle: Path) -> None:
    change_manifest(bundle, hidden=65_536, width=65_536, layers=list(range(100)))

    with pytest.raises(BundleError, match="where the manifest implies"):
        load_bundle(bundle)


def test_another_tokenizer_is_refused(bundle: Path) -> None:
    change_file(bundle / "model" / "tokenizer.json", '"version": "1.0"', '"version":  "1.0"')

    with pytest.raises(BundleError, match="the tokenizer of model is not the one"):
        load_bundle(bundle)


def test_other_weights_are_refused(bundle: Path) -> None:
    save_model(bundle / "model", seed=8)

    with pytest.raises(BundleError, match="the weights of model are not those"):
        load_bundle(bundle)


def test_another_configuration_of_the_same_weights_is_refused(bundle: Path) -> None:
    change_file(bundle / "model" / "config.json", '"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05')

    with pytest.raises(BundleError, match="the weights of model are not those"):
        load_bundle(bundle)


@pytest.mark.parametrize("location", ["..", "../other", "/", "."])
def test_a_bundled_model_outside_of_its_bundle_is_refused(bundle: Path, location: str) -> None:
    change_manifest(bundle, host__location=location)

    with pytest.raises(BundleError, match="outside of the bundle"):
        load_bundle(bundle)


def test_a_link_that_leads_out_of_the_bundle_is_refused(bundle: Path, model_folder: Path) -> None:
    (bundle / "linked").symlink_to(model_folder)
    change_manifest(bundle, host__location="linked")

    with pytest.raises(BundleError, match="outside of the bundle"):
        load_bundle(bundle)


def test_a_bundle_that_lacks_its_model_is_refused(bundle: Path) -> None:
    change_manifest(bundle, host__location="absent")

    with pytest.raises(BundleError, match="lacks its bundled model 'absent'"):
        load_bundle(bundle)


def test_a_width_other_than_the_models_is_refused(bundle: Path) -> None:
    wider = random_head("hazard", 2 * 8 + 3)
    change_probe(bundle, lambda tensors: tensors.update(wider.state_dict()))
    change_manifest(bundle, width=8)

    with pytest.raises(BundleError, match="does not fit a model of width 16 with 2 layers"):
        load_bundle(bundle)


def test_layers_that_the_model_lacks_are_refused(bundle: Path) -> None:
    change_manifest(bundle, layers=[1, 3])

    with pytest.raises(RiskError, match="layers"):
        load_bundle(bundle)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_at_all_as_a_probe_bring_anything_but_a_refusal(bundle: Path, content: bytes) -> None:
    manifest = read_manifest(bundle)
    (bundle / PROBE_FILE).write_bytes(content)

    with pytest.raises(RiskError):
        load_probe(bundle, replace(manifest, probe_hash=hash_files([bundle / PROBE_FILE])))
