"""What a bundle says about places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import BundleError
from risk_lsp.probe.calibration import Place, Prior, Priors
from risk_lsp.probe.manifest import read_manifest, write_manifest
from tests.probe.tiny import change_manifest, read_json

PRIORS = Priors(generated=Prior(1.0, 0.09, 1234, measured=True), changed=Prior(0.14, 0.013), at_rest=Prior(0.02, 0.002))


def test_priors_survive_the_manifest(bundle: Path, tmp_path: Path) -> None:
    change_manifest(bundle, places=PRIORS.to_json())
    manifest = read_manifest(bundle)
    write_manifest(manifest, tmp_path)

    assert manifest.priors == read_manifest(tmp_path).priors == PRIORS


def test_a_bundle_that_says_nothing_measured_generated_text_and_nothing_else(bundle: Path) -> None:
    priors = read_manifest(bundle).priors

    assert [priors.of(place).measured for place in Place] == [True, False, False]
    assert {priors.of(place).factor for place in Place} == {1.0}


def test_a_bundle_that_says_nothing_still_says_nothing_when_it_is_written_again(bundle: Path) -> None:
    write_manifest(read_manifest(bundle), bundle)

    assert "places" not in read_json(bundle)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"places": None}, "are wanted"),
    ({"places__changed": ...}, "are wanted"),
    ({"places__elsewhere": {}}, "are wanted"),
    ({"places__at_rest": 0.02}, "at_rest needs factor, rate, n, measured"),
    ({"places__at_rest__rate": ...}, "at_rest needs factor, rate, n, measured"),
    ({"places__at_rest__factor": 0}, "a factor is 0.0"),
    ({"places__at_rest__factor": -1.0}, "a factor is -1.0"),
    ({"places__at_rest__factor": float("inf")}, "a factor is inf"),
    ({"places__at_rest__factor": "1"}, "the factor of at_rest is '1'"),
    ({"places__at_rest__factor": True}, "the factor of at_rest is True"),
    ({"places__at_rest__factor": 10**400}, "too large"),
    ({"places__changed__rate": 1.5}, "a rate is 1.5"),
    ({"places__changed__rate": float("nan")}, "a rate is nan"),
    ({"places__generated__n": -1}, "n is -1"),
    ({"places__generated__n": 1.0}, "the n of generated is 1.0"),
    ({"places__generated__measured": 1}, "the measured of generated is 1"),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG, ids=[f"{changes}" for changes, _ in WRONG])
def test_a_wrong_prior_is_refused_by_name(bundle: Path, changes: dict[str, Any], reason: str) -> None:
    change_manifest(bundle, places=PRIORS.to_json())
    change_manifest(bundle, **changes)

    with pytest.raises(BundleError) as caught:
        read_manifest(bundle)

    assert reason in caught.value.message
    assert caught.value.hint
