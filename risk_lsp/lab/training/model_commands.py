"""`risk-lsp corpus build`: from files and packages to packed tokens. `risk-lsp train model`: from these to a model."""

from __future__ import annotations

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from itertools import chain
from pathlib import Path

from risk_lsp.errors import BadInput
from risk_lsp.lab.patches.labels import with_intent
from risk_lsp.lab.patches.programs import Sample, problems_by_id, read_samples
from risk_lsp.lab.training.packing import pack_documents, save_tokenizer, train_tokenizer
from risk_lsp.lab.training.training_documents import (
    TrainingDocument,
    deduplicate,
    fetch_packages,
    fetched_packages,
    installed_distributions,
    is_held_out,
    listed_packages,
    split_of,
    standard_library,
    worth_learning,
)


def model_written_documents(folder: Path, per_group: int) -> Iterator[TrainingDocument]:
    """Programs of the training groups, at most `per_group` of each problem; every other one shows its prompt.

    `folder` holds samples_*.jsonl* and problems_*.jsonl*. Samples whose published verdict and our own run contradict
    each other are left out. BadInput for a folder without samples.
    """
    paths = sorted(folder.glob("samples_*.jsonl*"))
    if not paths:
        raise BadInput(f"no samples_*.jsonl.xz in {folder}", "point --data at the folder of the labelled programs")
    problems = problems_by_id(sorted(folder.glob("problems_*.jsonl*")))
    groups: dict[str, list[tuple[str, Sample]]] = defaultdict(list)
    for path in paths:
        source = path.name.removeprefix("samples_").split(".")[0]
        for sample in read_samples(path):
            if not sample.conflict and split_of(sample.group) == "train":
                groups[sample.group].append((source, sample))
    for group in sorted(groups):
        programs = []
        for source, sample in groups[group]:
            # LeetCode's long prelude of imports and helper classes is left out: nobody has it in a file of their own.
            dropped = sample.prompt_lines if sample.benchmark == "leetcode" else 0
            program = "".join(sample.program.splitlines(keepends=True)[dropped:])
            programs.append((source, sample.task_id, program))
        programs.sort(key=lambda program: sha256(program[2].encode("utf-8", "replace")).digest())
        for index, (source, task_id, text) in enumerate(programs[:per_group]):
            problem = problems.get(task_id)
            if index % 2 == 0 and problem is not None:
                text = with_intent(text, (problem.text or problem.prompt).strip())[0]
            licence = "see the data set's README"
            yield TrainingDocument(f"samples:{source}", licence, task_id, "model-written", text, is_held_out(group))
    for problem in problems.values():
        if problem.reference and split_of(problem.group) == "train":
            yield TrainingDocument(
                f"problems:{problem.benchmark}",
                problem.license,
                problem.task_id,
                "model-written",
                with_intent(problem.reference, (problem.text or problem.prompt).strip())[0],
                is_held_out(problem.group),
            )


_PACKAGE_LIST = Path(__file__).with_name("packages.txt")


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp corpus build`."""
    parser.add_argument("out", type=Path, help="folder for the packed files, the manifest and the tokenizer")
    parser.add_argument(
        "--data", type=Path, help="folder of labelled model-written programs; only its training groups are used"
    )
    parser.add_argument("--packages", type=Path, help="folder that holds, or will hold, the fetched packages")
    parser.add_argument(
        "--package-list",
        type=Path,
        default=_PACKAGE_LIST,
        help="names of the packages to fetch (default: the built-in list)",
    )
    parser.add_argument("--tokenizer", type=Path, help="use this tokenizer.json instead of training one")
    parser.add_argument(
        "--vocabulary", type=int, default=8192, help="tokens of a newly trained tokenizer (default 8192)"
    )
    parser.add_argument("--per-group", type=int, default=24, help="programs of one problem at most (default 24)")
    parser.add_argument(
        "--per-source", type=int, default=8_000_000, help="characters of one library at most (default 8,000,000)"
    )
    parser.add_argument(
        "--fim-share",
        type=float,
        default=0.3,
        help="share of documents arranged for filling in the middle (default 0.3)",
    )
    parser.add_argument("--seed", type=int, default=1)


def run_build(args: argparse.Namespace) -> int:
    """Build the corpus; returns the exit code."""
    libraries: Iterator[TrainingDocument] = chain(standard_library(), installed_distributions())
    if args.packages:
        fetch_packages(listed_packages(args.package_list), args.packages)
        libraries = chain(libraries, fetched_packages(args.packages))
    written = model_written_documents(args.data, args.per_group) if args.data else iter(())
    kept = (
        document
        for document in chain(libraries, written)
        if document.kind != "library" or worth_learning(document.text)
    )
    documents: list[TrainingDocument] = []
    taken: dict[str, int] = defaultdict(int)
    for document in deduplicate(kept):
        # At most so much of one library, so that a giant with one house style does not drown the others.
        if document.kind != "library" or taken[document.source] < args.per_source:
            taken[document.source] += len(document.text)
            documents.append(document)
    print(f"{len(documents):,} documents, {sum(len(d.text) for d in documents):,} characters", file=sys.stderr)
    random.Random(args.seed).shuffle(documents)
    if args.tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(args.tokenizer))
    else:
        print(f"training a tokenizer of {args.vocabulary:,} tokens", file=sys.stderr)
        tokenizer = train_tokenizer((d.text for d in _tokenizer_sample(documents)), args.vocabulary)
    save_tokenizer(tokenizer, args.out)
    command = "risk-lsp corpus build" + "".join(
        f" --{name} {getattr(args, name.replace('-', '_'))}" for name in _RECORDED
    )
    manifest = pack_documents(documents, tokenizer, args.out, fim_share=args.fim_share, seed=args.seed, command=command)
    for name, stream in manifest["streams"].items():
        print(f"{name}: {stream['tokens']:,} tokens in {len(stream['shards'])} files", file=sys.stderr)
    return 0


_RECORDED = ("vocabulary", "per-group", "per-source", "fim-share", "seed")


def _tokenizer_sample(documents: list[TrainingDocument]) -> list[TrainingDocument]:
    """All model-written texts and three times as much library code, so that the vocabulary fits the domain."""
    written = [d for d in documents if d.kind == "model-written" and not d.held_out]
    budget = max(3 * sum(len(d.text) for d in written), 20_000_000)
    sample = list(written)
    for document in documents:
        if document.kind == "library" and not document.held_out and budget > 0:
            sample.append(document)
            budget -= len(document.text)
    return sample


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp train model`."""
    parser.add_argument("corpus", type=Path, help="folder made by `risk-lsp corpus build`")
    parser.add_argument(
        "out", type=Path, help="folder for the checkpoint and the trained model; a run there is resumed"
    )
    parser.add_argument(
        "--minutes", type=float, required=True, help="time budget, earlier parts of a resumed run counted in"
    )
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--key-value-heads", type=int, default=2)
    parser.add_argument("--feed-forward", type=int, default=768)
    parser.add_argument(
        "--context", type=int, default=1024, help="tokens a sequence holds in training and use (default 1024)"
    )
    parser.add_argument("--batch", type=int, default=8, help="sequences per step (default 8)")
    parser.add_argument("--micro-batch", type=int, default=8, help="sequences per forward pass (default 8)")
    parser.add_argument("--rate", type=float, default=4e-3, help="peak learning rate (default 0.004)")
    parser.add_argument(
        "--model-written-share",
        type=float,
        default=0.3,
        help="share of model-written programs in a batch (default 0.3)",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--threads", type=int, default=0, help="threads for a CPU run (default: all cores)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint-minutes", type=float, default=3.0)
    parser.add_argument("--compile", action="store_true", help="compile the model first (pays on a GPU)")


def run_model(args: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    from risk_lsp.lab.training.train_model import ModelShape, TrainingOptions, train

    shape = ModelShape(args.width, args.layers, args.heads, args.key_value_heads, args.feed_forward, args.context)
    train(
        TrainingOptions(
            corpus=args.corpus,
            out=args.out,
            minutes=args.minutes,
            shape=shape,
            batch=args.batch,
            micro_batch=min(args.micro_batch, args.batch),
            length=args.context,
            rate=args.rate,
            model_written_share=args.model_written_share,
            device=args.device,
            threads=args.threads,
            seed=args.seed,
            checkpoint_minutes=args.checkpoint_minutes,
            compile=args.compile,
        )
    )
    return 0
