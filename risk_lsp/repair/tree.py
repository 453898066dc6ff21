"""The record of a repair: a tree of programs and feedback with what each step cost (arXiv 2306.09896), kept on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from risk_lsp.errors import BadInput, RepairError
from risk_lsp.files import write_whole

if TYPE_CHECKING:
    from risk_lsp.repair.workbench import RepairRequest

FORMAT_VERSION = 1


class Replacement(NamedTuple):
    """The characters [start, end) of a text are replaced by `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Cost:
    """What a step took. Tokens are those of an asked model, as far as it said."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    executions: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.executions + other.executions,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class NodeVerdict:
    """What running the tests said.

    reason: "" for a pass, else a word such as an exception's name or "timeout". failure: the failing input, what was
    expected and what came, or the traceback, trimmed for a model.
    """

    passed: bool
    reason: str = ""
    failure: str = ""


@dataclass(frozen=True)
class ProgramNode:
    """A program: the task's text with `edits`. verdict, risk: None where nothing was run or read."""

    id: int
    parent: int | None
    edits: tuple[Replacement, ...]
    source: str
    cost: Cost
    verdict: NodeVerdict | None = None
    risk: float | None = None


@dataclass(frozen=True)
class FeedbackNode:
    """Words about the program that is its parent. `source`: a model's name, or "person"."""

    id: int
    parent: int
    text: str
    source: str
    cost: Cost


Node = ProgramNode | FeedbackNode


@dataclass(frozen=True)
class Task:
    """What was asked; a tree belongs to one."""

    name: str
    language_id: str
    text: str
    hint: str = ""
    span: tuple[int, int] | None = None
    tests: str = ""


@dataclass
class RepairTree:
    """All nodes of one repair; the first one is the task's own program. `settings` says how they were made."""

    task: Task
    settings: dict[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def add(self, node: Node) -> None:
        """Add a node; its parent must be there already."""
        if node.id != len(self.nodes) or (node.parent is not None and not 0 <= node.parent < node.id):
            raise ValueError(f"node {node.id} below {node.parent} has no place among {len(self.nodes)} nodes")
        self.nodes.append(node)

    @property
    def programs(self) -> list[ProgramNode]:
        """The programs, in the order in which they were made."""
        return [node for node in self.nodes if isinstance(node, ProgramNode)]

    @property
    def cost(self) -> Cost:
        """The cost of all nodes together."""
        return sum((node.cost for node in self.nodes), Cost())

    def text_of(self, node: ProgramNode) -> str:
        """The whole program of a node."""
        return replace_spans(self.task.text, node.edits)

    def to_json(self) -> dict[str, Any]:
        """The tree as a JSON object."""
        return {
            "format_version": FORMAT_VERSION,
            "task": asdict(self.task),
            "settings": self.settings,
            "nodes": [
                {"kind": "program" if isinstance(node, ProgramNode) else "feedback"} | asdict(node)
                for node in self.nodes
            ],
        }

    @classmethod
    def from_json(cls, content: Any) -> RepairTree:
        """The reverse of to_json. BadInput for anything else."""
        version = content.get("format_version") if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            reads = f"this program reads version {FORMAT_VERSION}"
            raise BadInput(f"a repair tree of version {version}", f"{reads}; start the repair anew, in another file")
        try:
            task = dict(content["task"])
            task["span"] = None if task["span"] is None else (int(task["span"][0]), int(task["span"][1]))
            tree = cls(Task(**task), dict(content["settings"]))
            for node in content["nodes"]:
                fields = {**dict(node), "cost": Cost(**node["cost"])}
                if fields.pop("kind") == "feedback":
                    tree.add(FeedbackNode(**fields))
                    continue
                verdict = None if fields["verdict"] is None else NodeVerdict(**fields["verdict"])
                edits = tuple(Replacement(int(start), int(end), str(text)) for start, end, text in fields["edits"])
                tree.add(ProgramNode(**{**fields, "edits": edits, "verdict": verdict}))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BadInput(f"a repair tree that lacks a part: {error}", "start the repair anew") from error
        return tree


def replace_spans(text: str, edits: Sequence[Replacement]) -> str:
    """The text after replacements that do not overlap."""
    pieces, end = [], 0
    for edit in sorted(edits):
        pieces += [text[end : edit.start], edit.text]
        end = edit.end
    return "".join([*pieces, text[end:]])


_BYTES_AT_MOST = 64_000_000
_FILES_AT_MOST = 200


class TreeStore:
    """One tree in one file. Without `resume` a repair starts anew and what the file holds is replaced."""

    def __init__(self, path: Path, *, resume: bool = True) -> None:
        self.path = path
        self.resume = resume

    @classmethod
    def in_folder(cls, folder: Path, request: RepairRequest) -> TreeStore:
        """A store for a request, in a file named by a hash of it. It is not resumed: the tests may have changed since.

        Of more than 200 trees in the folder the oldest are removed.
        """
        asked = json.dumps([request.name, request.text, request.hint, request.span])
        with suppress(OSError):  # another server may remove them, too
            for old in sorted(folder.glob("*.json"), key=os.path.getmtime)[: -_FILES_AT_MOST + 1]:
                old.unlink(missing_ok=True)
        return cls(folder / f"{sha256(asked.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}.json", resume=False)

    def save(self, tree: RepairTree) -> None:
        """Write the tree; a reader sees the old one or the new one, never a part. RepairError if that fails."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(tree.to_json()).encode())
        except OSError as error:
            raise RepairError(f"{self.path} cannot be written: {error}", "name another place for the record") from error

    def load(self) -> RepairTree | None:
        """The tree, None if there is none yet. BadInput for a file that holds something else."""
        try:
            if self.path.stat().st_size > _BYTES_AT_MOST:
                raise BadInput(f"{self.path} is too large for a repair tree", "name another file")
            content = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise BadInput(f"{self.path} is no repair tree: {error}", "name another file, or remove it") from error
        return RepairTree.from_json(content)
