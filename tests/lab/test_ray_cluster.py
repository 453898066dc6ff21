"""The laboratory on a Ray cluster of two machines, which are processes of this one: it gives what a local run gives."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.errors import BadInput, WorkerError
from risk_lsp.lab.patches.labels import LABELS, read_labels
from risk_lsp.lab.task_pool import RayCluster
from tests.lab.evaluation.test_writing_study import TEST_GROUPS, problem
from tests.lab.patches.building import build, write_inputs
from tests.lab.pool_jobs import begun_on, noted, squares, squares_of_two_machines, squares_on_a_doomed_machine
from tests.lab.training.makers import toy_programs, write_labelled, write_records
from tests.repair.models import SUM
from tests.sandbox.conftest import shared_sandbox

__all__ = ["shared_sandbox"]

pytest.importorskip("ray", reason="pip install 'risk-lsp[cluster]'")


LOOPBACK = "127.0.0.2"  # Ray takes 127.0.0.1 for a name of the machine's address in its network


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of one machine with one processor."""
    from ray.cluster_utils import Cluster

    quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    made = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "include_dashboard": False,
            "node_ip_address": LOOPBACK,
            "object_store_memory": 80_000_000,
            "_system_config": quick,
        },
    )
    session = made.head_node.get_session_dir_path()
    yield made
    made.shutdown()
    shutil.rmtree(session, ignore_errors=True)


@pytest.fixture
def second(cluster: Any) -> Iterator[Any]:
    """Another machine of the cluster."""
    node = cluster.add_node(num_cpus=1, object_store_memory=80_000_000, node_ip_address=LOOPBACK)
    cluster.wait_for_nodes()
    yield node
    if node in cluster.list_all_nodes():
        cluster.remove_node(node)


def test_tasks_run_on_all_machines_and_items_come_in_order(cluster: Any, second: Any, tmp_path: Path) -> None:
    said: list[str] = []
    pool = RayCluster(cluster.address)

    found = list(pool.run(partial(squares_of_two_machines, tmp_path), range(1, 21), in_order=True, say=said.append))

    assert found == [number * number for number in range(1, 21)]
    machines = noted(tmp_path, "machines")  # a process of each, for all of its tasks
    assert len(machines) == len(set(machines)) == 2
    assert said == ["machines: 2, tasks at a time: 2"]


def test_a_machine_that_is_killed_costs_only_what_it_was_at(cluster: Any, second: Any, tmp_path: Path) -> None:
    (tmp_path / "doomed").write_text(second.node_id + "\n")

    def kill() -> None:
        while begun_on(tmp_path, second.node_id) < 2:
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    found = list(
        RayCluster(cluster.address).run(partial(squares_on_a_doomed_machine, tmp_path), range(1, 13), in_order=True)
    )
    killer.join()

    assert found == [number * number for number in range(1, 13)]
    begun = [line.split()[1] for line in noted(tmp_path, "begun")]
    again = [number for number in set(begun) if begun.count(number) > 1]
    assert len(begun) == 13 and len(again) == 1  # the one that the machine was at


def test_the_error_of_a_task_is_the_error_of_the_run(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"-1 is negative \(give another\)"):
        list(RayCluster(cluster.address).run(partial(squares, tmp_path), [1, -1]))


def test_a_task_that_kills_its_process_each_time_is_given_up(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="ended its process 4 times"):
        list(RayCluster(cluster.address).run(partial(squares, tmp_path), [1_000_000]))


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no Ray cluster answers at 127\.0\.0\.1:9"):
        list(RayCluster("127.0.0.1:9").run(partial(squares, tmp_path), [1]))


def test_nothing_is_reported_to_the_makers_of_ray_and_no_dashboard_is_started(cluster: Any, tmp_path: Path) -> None:
    list(RayCluster(cluster.address).run(partial(squares, tmp_path), [1]))

    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert not cluster.webui_url


def test_sampling_on_a_cluster_writes_the_same_bytes(cluster: Any, second: Any, tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    problems.write_text(
        "".join(
            json.dumps({"task_id": f"HumanEval/{n}", "prompt": f"def f{n}(x):\n", "entry_point": f"f{n}", "test": "x"})
            + "\n"
            for n in range(6)
        )
    )
    arguments = ["--problems", str(problems), "--per-problem", "2", "--max-tokens", "12", "--threads", "1"]
    arguments += ["--parallel", "2", "--seed", "3"]

    assert main(["patches", "sample", str(tmp_path / "here.jsonl"), *arguments]) == 0
    assert main(["patches", "sample", str(tmp_path / "there.jsonl"), *arguments, "--ray", cluster.address]) == 0

    assert (tmp_path / "there.jsonl").read_bytes() == (tmp_path / "here.jsonl").read_bytes()
    assert (tmp_path / "there.jsonl").read_text().count("\n") == 12


@pytest.mark.usefixtures("shared_sandbox")
def test_a_build_on_a_cluster_finds_the_same_labels_and_goes_on_from_an_object_store(
    cluster: Any, second: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = write_inputs(tmp_path)
    there = [*inputs, "--ray", cluster.address, "--work", "memory://builds/one"]
    build(tmp_path / "here", inputs)
    build(tmp_path / "there", there)

    def labels(out: Path) -> dict[str, Any]:
        found = read_labels([out / LABELS])
        return {name: {**label, "seconds": None} for name, label in found.items()}  # that the search took

    assert labels(tmp_path / "there") == labels(tmp_path / "here") != {}
    capsys.readouterr()
    build(tmp_path / "again", there)
    assert "8 records so far, about 0 to come" in capsys.readouterr().err
    assert labels(tmp_path / "again") == labels(tmp_path / "there")


@pytest.mark.parametrize(
    ("option", "named"),
    [(["--weak-sandbox"], "--weak-sandbox"), (["--model", "m", "--base-url", "http://x"], "--model")],
)
def test_what_a_cluster_cannot_do_is_refused_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], named: str
) -> None:
    arguments = [*write_inputs(tmp_path), "--ray", "auto", *option]

    assert main(["patches", "build", str(tmp_path / "out"), *arguments]) == 2
    said = capsys.readouterr().err
    assert named in said and "hint: " in said


def test_features_from_a_cluster_are_those_of_a_local_run(
    cluster: Any, second: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.jsonl"
    records = [
        {"id": f"{n}", "group": f"own/{n // 2}", "benchmark": "own", "model": "m", "text": f"x = {n}\nprint(x)\n"}
        | {"scored": [0, 14], "passed": n % 2 == 0, "edited": [] if n % 2 == 0 else [[4, 5]]}
        for n in range(8)
    ]
    data.write_text("".join(json.dumps(record) + "\n" for record in records))
    arguments = ["--data", str(data), "--threads", "1"]

    assert main(["probe", "features", str(tmp_path / "here"), *arguments]) == 0
    assert main(["probe", "features", str(tmp_path / "there"), *arguments, "--ray", cluster.address]) == 0

    (here,), (there,) = (list((tmp_path / name).glob("*/*.npy")) for name in ("here", "there"))
    assert here.parent.name == there.parent.name
    np.testing.assert_array_equal(np.load(here), np.load(there))
    capsys.readouterr()
    assert main(["probe", "features", str(tmp_path / "there"), *arguments]) == 0
    assert ": 0 programs more" in capsys.readouterr().out


@pytest.mark.usefixtures("shared_sandbox")
def test_repairs_measured_on_a_cluster_give_the_same_figures(cluster: Any, second: Any, tmp_path: Path) -> None:
    task: dict[str, Any] = {
        "benchmark": "own",
        "prompt": "",
        "entry_point": "add_all",
        "test_kind": "append",
        "license": "MIT",
    }
    task |= {"tests": "assert add_all([1, 2]) == 3\nassert add_all([]) == 0\n", "reference": None}
    names = [{"task_id": f"Own/{n}", "group": f"Own/{n}"} for n in range(2)]
    fix = {"program": SUM, "prompt_lines": 0, "verified": False}
    write_records(tmp_path / "problems_own.jsonl.xz", [task | name for name in names])
    write_records(tmp_path / "repairs_humanevalfix.jsonl.xz", [fix | name for name in names])
    arguments = ["--data", str(tmp_path), "--sets", "humanevalfix", "--executions", "60"]

    assert main(["evaluate", "repair", str(tmp_path / "here"), *arguments]) == 0
    assert main(["evaluate", "repair", str(tmp_path / "there"), *arguments, "--ray", cluster.address]) == 0

    here, there = (tmp_path / name / "figures.json" for name in ("here", "there"))
    assert there.read_bytes() == here.read_bytes()
    assert json.loads(here.read_text())["humanevalfix"]["repaired"] == 2


def test_an_evaluation_whose_probes_are_fitted_on_a_cluster_gives_the_same_figures_and_goes_on(
    cluster: Any, second: Any, tmp_path: Path, model_folder: Path
) -> None:
    data, bundle = tmp_path / "programs.jsonl", tmp_path / "bundle"
    benchmarks = ("one", "two")
    programs = [replace(each, benchmark=benchmarks[int(each.group.split("/")[1]) % 2]) for each in toy_programs(40)]
    write_labelled(programs, data)
    fit = ("--model", model_folder, "--data", data, "--rate", "1e-3", "--injected", "8", "--threads", "1")
    assert main(["probe", "fit", str(bundle), *map(str, fit)]) == 0

    def evaluate(place: str, *more: str) -> bytes:
        folder = tmp_path / place
        given = ("--data", data, "--bundle", bundle, "--cache", folder / "cache", "--threads", "1", "--quick")
        assert main(["evaluate", str(folder / "out"), *map(str, given), "--parts", "folds", *more]) == 0
        return (folder / "out" / "evaluation.json").read_bytes()

    here, there = evaluate("here"), evaluate("there", "--ray", cluster.address)

    assert there == here
    kept = {
        place: sorted(path.name for path in (tmp_path / place).glob("cache/folds/*")) for place in ("here", "there")
    }
    assert len(kept["here"]) == 4 and kept["here"] == kept["there"]
    assert evaluate("there", "--ray", f"{LOOPBACK}:1") == here  # no cluster is there, and none is needed


@pytest.mark.usefixtures("shared_sandbox")
def test_the_study_of_writing_on_a_cluster_writes_the_same_page(cluster: Any, second: Any, tmp_path: Path) -> None:
    write_records(tmp_path / "problems_t.jsonl", [problem(group) for group in TEST_GROUPS[:3]])
    arguments = ["--data", str(tmp_path), "--samples", "2", "--max-tokens", "8", "--resamples", "20", "--threads", "1"]

    assert main(["evaluate", "writing", str(tmp_path / "here"), *arguments]) == 0
    assert main(["evaluate", "writing", str(tmp_path / "there"), *arguments, "--ray", cluster.address]) == 0

    for name in ("verdicts.jsonl", "writing-study.md", "writing-study.json"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
