"""The files of deploy/: they start the host with options that it has, without rights that it does not need."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from risk_lsp.cli.command_line import build_parser

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSED: Any = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]["host"]
MANIFESTS: Any = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8")))
POD = MANIFESTS[0]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]


def image_command() -> list[str]:
    """What the image runs where nothing else is said."""
    (line,) = re.findall(r"^CMD \[(.*)\]$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return [word.strip(",") for word in shlex.split(line)]


@pytest.mark.parametrize("options", [image_command(), COMPOSED["command"], CONTAINER["args"]], ids=range(3))
def test_the_options_are_those_of_the_command(options: list[str]) -> None:
    given = build_parser().parse_args(["host", *options])
    assert given.listen == "0.0.0.0:8443"
    assert given.tls_cert is not None and given.tls_key is not None and not given.without_tls


def test_a_container_has_no_rights_that_it_does_not_need() -> None:
    assert COMPOSED["read_only"] and COMPOSED["cap_drop"] == ["ALL"]
    assert all(volume.endswith(":ro") for volume in COMPOSED["volumes"])
    rights = CONTAINER["securityContext"]
    assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
    assert POD["securityContext"]["runAsNonRoot"] and not POD["automountServiceAccountToken"]


def test_a_host_has_longer_to_end_than_its_requests_have() -> None:
    assert POD["terminationGracePeriodSeconds"] > 30
    assert int(COMPOSED["stop_grace_period"].removesuffix("s")) > 30


def test_traffic_comes_once_the_model_is_loaded() -> None:
    assert CONTAINER["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": 8443, "scheme": "HTTPS"}
    assert "/healthz" in COMPOSED["healthcheck"]["test"][-1]


def test_no_key_comes_into_the_image() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    folders = {volume.partition(":")[0].replace("./", "deploy/") for volume in COMPOSED["volumes"]}
    assert folders == {"deploy/keys", "deploy/tls"} and folders <= set(ignored)
