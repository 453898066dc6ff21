"""From a model and labelled programs to a bundle on disk."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from risk_lsp.lab.training.feature_store import WeightedPrograms, collect_features
from risk_lsp.lab.training.fit_calibration import fit_calibration, fit_familiarity, fit_looks, part_belief, token_values
from risk_lsp.lab.training.fit_probe import Recipe, as_wholes, fit_probe
from risk_lsp.lab.training.heads import HazardProbe, MaxPoolHead, load_head, reader_of, tensors_of
from risk_lsp.lab.training.labelled_programs import NATURAL, WRITTEN, ProbeData, read_ids, read_probe_data
from risk_lsp.lab.training.library_programs import with_injected_bugs
from risk_lsp.lab.training.probe_fit_command import recipe_from
from risk_lsp.lab.training.training_documents import is_held_out
from risk_lsp.lab.training.training_files import ARCHITECTURE, TunedProbe, read_training_record
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.registry import catalogue_name
from risk_lsp.model.sources import locate_model
from risk_lsp.model.store import ModelStore
from risk_lsp.probe.bundle import save_head
from risk_lsp.probe.manifest import Manifest, ModelIdentity, read_manifest, write_manifest
from risk_lsp.probe.token_hazards import LOOKS_TENSOR, novelty_table, text_distance, uses_layout
from risk_lsp.text.normal_form import ModelText, Reading

# Of the problems that a probe learns from, those that only decide when to stop.
VALIDATION_SHARE = 0.15
_NOVELTY_PROGRAMS = 400
_MODEL_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", "tokenizer.json", "tokenizer_config.json")


def make_bundle(args: argparse.Namespace) -> Manifest:
    """Fit a probe as the arguments of `probe fit` say, and write the bundle. Figures are added by `probe evaluate`."""
    if args.threads is not None:
        torch.set_num_threads(args.threads)  # the model may run without torch, and sets others then
    tuned = TunedProbe.at(args.probe) if args.probe else None
    if tuned is not None:
        args.architecture, args.layers, args.hidden = ARCHITECTURE, ",".join(map(str, tuned.layers)), tuned.hidden
        args.reading, args.no_statistics, args.members, args.injected = tuned.reading, True, 1, 0
    only = read_ids(args.only) if args.only else None
    training = read_probe_data(args.data, args.per_group, only=only).of("train")
    calibrating = read_probe_data(args.data, args.per_group, kinds=WRITTEN, only=only).of("calibration")
    model = CodeModel.load(
        args.model,
        revision=args.revision,
        device=args.device,
        dtype=args.dtype,
        offline=not args.online,
        threads=args.threads,
    )
    recipe = recipe_from(args, model.layer_count)
    layers, statistics = recipe.layers, recipe.statistics
    layout = uses_layout(recipe.options.architecture)
    held_out = _collect_programs(model, calibrating, layers, args, statistics=statistics, layout=layout)
    familiarity, looks = None, None
    if tuned is not None:
        head: HazardProbe = tuned.head(model.width)
    else:
        learnt, validation, natural = _learnt_programs(model, training, recipe, args)
        features = learnt.store.features.shape[1]
        head = (
            load_head(args.keep, args.architecture, features, args.members)
            if args.keep
            else _fit_head(learnt, validation, recipe)
        )
        familiarity, looks = fit_familiarity(head, learnt.store, held_out.store), fit_looks(learnt.only(natural))
        del learnt  # gigabytes
    belief = None if familiarity is None else part_belief(familiarity, head, held_out.store)
    log_factors = None if looks is None else held_out.store.line_looks @ looks
    calibration, strength = fit_calibration(token_values(head, held_out.store), held_out, belief, log_factors)
    tensors = tensors_of(head) | ({} if familiarity is None else familiarity.tensors())
    if looks is not None:
        tensors[LOOKS_TENSOR] = (strength * looks).astype(np.float32)
    manifest = Manifest(
        name=args.name or args.out.name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=_command(args),
        recipe={**recipe.to_json(), "reading": args.reading},
        host=_host(args, model),
        layers=layers,
        statistics=statistics,
        width=model.width,
        architecture=args.architecture,
        hidden=args.hidden,
        members=args.members,
        reading=args.reading,
        probe_hash=save_head(tensors, args.out),
        calibration=calibration,
        trained_on=_trained_on(args, training, calibrating),
        novelty=_novelty(head, model, calibrating, layers, args.reading, statistics=statistics),
    )
    write_manifest(manifest, args.out)
    print(f"wrote {args.out}: {manifest.calibration}", file=sys.stderr)
    return manifest


def _learnt_programs(
    model: CodeModel, training: ProbeData, recipe: Recipe, args: argparse.Namespace
) -> tuple[WeightedPrograms, NDArray[np.bool_], NDArray[np.bool_]]:
    """What a probe of the recipe learns from, each program as one part, and two masks of it, bool[programs].

    The first: which only decide when to stop. The second: which no rule has put a bug into.
    """
    layout = uses_layout(recipe.options.architecture)
    learnt = _with_injected(training, args.injected, args.seed)
    read = _collect_programs(model, learnt, recipe.layers, args, statistics=recipe.statistics, layout=layout)
    validation = np.array([is_held_out(program.group, VALIDATION_SHARE) for program in learnt.programs])
    natural = np.array([program.kind in NATURAL for program in learnt.programs], dtype=np.bool_)
    return replace(read, store=as_wholes(read.store, layout=layout)), validation, natural


def _fit_head(learnt: WeightedPrograms, validation: NDArray[np.bool_], recipe: Recipe) -> HazardProbe:
    """A probe of the recipe."""
    head = fit_probe(
        learnt,
        validation,
        recipe.options,
        on_epoch=lambda loss: print(f"validation loss {loss:.4f}", file=sys.stderr, flush=True),
    ).head
    assert not isinstance(head, MaxPoolHead)  # which no argument asks for
    return head


def _with_injected(training: ProbeData, count: int, seed: int) -> ProbeData:
    """The training programs and `count` with an injected bug, which together weigh a third of all.

    Injected bugs in validation problems weigh nothing: what stops the training are real edits alone.
    """
    injected = with_injected_bugs(training.programs, count, seed)
    weight = 0.5 * sum(training.weights) / max(1, len(injected))
    weights = [0.0 if is_held_out(program.group, VALIDATION_SHARE) else weight for program in injected]
    return ProbeData(
        training.programs + injected, training.weights + weights, training.span_weights + weights, training.labels
    )


def _collect_programs(
    model: CodeModel,
    data: ProbeData,
    layers: tuple[int, ...],
    args: argparse.Namespace,
    *,
    statistics: bool,
    layout: bool,
) -> WeightedPrograms:
    store = collect_features(
        model,
        data.programs,
        layers,
        statistics=statistics,
        layout=layout,
        reading=args.reading,
        cache=args.cache,
    )
    return WeightedPrograms(store, np.asarray(data.weights), np.asarray(data.span_weights))


def _novelty(
    head: HazardProbe,
    model: CodeModel,
    data: ProbeData,
    layers: tuple[int, ...],
    reading: Reading,
    *,
    statistics: bool,
) -> dict[str, Any]:
    texts = [ModelText(program.text, reading).text for program in data.programs[:_NOVELTY_PROGRAMS]]
    encodings = [model.encode(text) for text in texts]
    read = model.read_many(encodings, layers, statistics=statistics)
    reader = reader_of(head)
    distances = [text_distance(reader, *pair, statistics=statistics) for pair in zip(texts, read, strict=True)]
    return novelty_table(distances)


def _host(args: argparse.Namespace, model: CodeModel) -> ModelIdentity:
    """Where the model is found later; with --copy-model its files go into the bundle."""
    hashes = (model.weights_hash, model.tokenizer_hash)
    folder = locate_model(args.model, revision=args.revision, offline=True)
    if args.copy_model:
        _copy_model(folder.path, args.out / "model")
        return ModelIdentity("bundled", "model", *hashes)
    stored = next((each for each in ModelStore().models() if each.weights_hash == model.weights_hash), None)
    known_as = catalogue_name(model.weights_hash) or (None if stored is None else stored.name)
    if known_as is not None:
        return ModelIdentity("store", known_as, *hashes)
    if folder.revision is None:
        return ModelIdentity("folder", str(folder.path), *hashes)
    return ModelIdentity("hub", folder.name, *hashes, revision=folder.revision)


def _copy_model(source: Path, target: Path) -> None:
    if source.resolve() == target.resolve():
        return  # a probe is fitted again to the model that its bundle holds
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for pattern in _MODEL_FILES:
        for file in source.glob(pattern):
            shutil.copy(file, target / file.name)


def _trained_on(args: argparse.Namespace, training: ProbeData, calibrating: ProbeData) -> dict[str, Any]:
    """What the probe learnt from, and the model too where it, or the bundle that is kept, brings a training record."""
    record = read_training_record(locate_model(args.model, revision=args.revision, offline=True).path)
    if args.keep and not record:
        record = read_manifest(args.keep).trained_on.get("model", {})
    return {
        "labels": training.labels,
        "probe": {**_counts(training), "injected_bugs": args.injected},
        "calibration": _counts(calibrating),
        "model": record,
    }


def _counts(data: ProbeData) -> dict[str, Any]:
    return {
        "problems": len({program.group for program in data.programs}),
        "programs": len(data.programs),
        "failing": sum(not program.passed for program in data.programs),
        "without_known_fix": sum(not program.is_labelled for program in data.programs),
        "by_benchmark": dict(Counter(program.benchmark for program in data.programs)),
    }


def _command(args: argparse.Namespace) -> str:
    """What a person types to make the probe again; programs read the recipe."""
    parts = [
        f"--architecture {args.architecture}",
        f"--hidden {args.hidden}",
        f"--rate {args.rate:g}",
    ]
    parts += [f"--averaging {args.averaging:g}"] if args.averaging else []
    parts += [f"--ranking {args.ranking:g}"] if args.ranking else []
    parts += [f"--layers {args.layers}"] if args.layers else []
    parts += [f"--members {args.members}"] if args.members > 1 else []
    parts += [f"--reading {args.reading}"] if args.reading != "verbatim" else []
    parts += ["--no-statistics"] if args.no_statistics else []
    parts += ["--probe ..."] if args.probe else []
    parts += ["--only ..."] if args.only else []
    parts += ["--copy-model"] if args.copy_model else []
    parts += [f"--injected {args.injected}"] if args.injected else []
    return " ".join(["risk-lsp probe fit", *parts, f"--per-group {args.per_group}", f"--seed {args.seed}"])
