"""`risk-lsp probe features`: what a model gives for labelled programs, kept for fits and evaluations to come."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.task_pool import Job, RayCluster, TaskPool, ThisProcess, add_ray_argument
from risk_lsp.lab.training.labelled_programs import DATA_HELP, read_probe_data
from risk_lsp.probe.manifest import bundle_path, read_manifest
from risk_lsp.report.wording import ShownProgress, shown_progress
from risk_lsp.text.normal_form import ModelText

_TEXTS_OF_A_TASK = 64
_TEXTS_OF_A_FILE = 512


class TextFeatures(NamedTuple):
    """What a model gives for some texts: float16[tokens, features] each. `key`: under which a cache keeps them."""

    key: str
    texts: list[str]
    rows: list[NDArray[np.float16]]


def add_features_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp probe features`."""
    parser.add_argument("cache", type=Path, metavar="FOLDER", help="the --cache of later commands; what it has is kept")
    parser.add_argument("--bundle", metavar="PATH", help="whose model reads, as it reads (default: the built-in one)")
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    parser.add_argument(
        "--per-group",
        type=int,
        default=30,
        help="passing and failing programs of one problem at most (default 30 each)",
    )
    add_ray_argument(parser)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int)


def run_features(args: argparse.Namespace) -> int:
    """Read; returns the exit code."""
    args.bundle = bundle_path(args.bundle).absolute()
    pool: TaskPool = ThisProcess()
    if args.ray is not None:
        args.threads = args.threads or 1
        pool = RayCluster(args.ray, cpus=args.threads, gpus=args.device.startswith("cuda"))
    programs = read_probe_data(args.data, args.per_group).programs
    reading = read_manifest(args.bundle).reading
    groups = [
        [ModelText(program.text, reading).text for program in some]
        for _, some in groupby(programs, key=lambda program: program.group)
    ]
    with shown_progress(sys.stderr, "programs", sum(map(len, groups))) as progress:
        read = keep_features(args.cache, pool, partial(open_reader, args), groups, progress)
    print(f"{args.cache}: {read:,} programs more")
    return 0


def keep_features(
    folder: Path,
    pool: TaskPool,
    job: Job[Sequence[str], TextFeatures],
    groups: Iterable[Sequence[str]],
    progress: ShownProgress,
) -> int:
    """Have the texts of all groups read that the cache lacks, group by group; returns how many these were.

    BadInput where machines run the model in different number formats.
    """
    from risk_lsp.lab.training.feature_store import FeatureCache

    (told,) = pool.run(job, [[]], say=progress.say)  # under which key what is known is kept
    cache = FeatureCache(folder, told.key)
    done = read = 0
    tasks: list[list[str]] = [[]]
    wanted: set[str] = set()
    for group in groups:
        missing = [text for text in dict.fromkeys(group) if text not in wanted and cache.get(text) is None]
        wanted.update(missing)
        done += len(group) - len(missing)
        if len(tasks[-1]) + len(missing) > _TEXTS_OF_A_TASK and tasks[-1]:
            tasks.append([])
        tasks[-1] += missing
    texts: list[str] = []
    rows: list[NDArray[np.float16]] = []
    progress.show(done)
    try:
        for found in pool.run(job, [task for task in tasks if task], in_order=True, say=progress.say):
            if found.key != told.key:
                raise BadInput("the machines run the model in different number formats", "name one with --dtype")
            texts += found.texts
            rows += found.rows
            read += len(found.texts)
            progress.show(done + read)
            if len(texts) >= _TEXTS_OF_A_FILE:
                cache.add(texts, rows)
                texts, rows = [], []
    finally:
        if texts:
            cache.add(texts, rows)
    return read


@contextmanager
def open_reader(args: argparse.Namespace) -> Iterator[Callable[[Sequence[str]], Iterator[TextFeatures]]]:
    """The model, and what has it read texts."""
    from risk_lsp.lab.training.feature_store import feature_key, read_features
    from risk_lsp.lab.training.probe_fit_command import recipe_of
    from risk_lsp.probe.bundle import load_bundle

    bundle = load_bundle(args.bundle, device=args.device, dtype=args.dtype, threads=args.threads, whole_model=True)
    model = bundle.model
    layers = recipe_of(bundle.manifest, model.layer_count).layers
    statistics = model.host.has_head

    def read(texts: Sequence[str]) -> Iterator[TextFeatures]:
        encodings = [model.encode(text) for text in texts]
        with redirect_stderr(io.StringIO()):  # how far all are is said elsewhere
            features = read_features(model, texts, encodings, layers, statistics=statistics)
        ends = np.cumsum([len(encoding) for encoding in encodings], dtype=np.int64)
        rows = np.split(features, ends[:-1]) if len(texts) else []
        yield TextFeatures(feature_key(model, layers, statistics=statistics), list(texts), rows)

    yield read
